import { expect, test } from "bun:test";
import { z } from "zod";
import { Metrics } from "../harness.ts";
import type { Renderer } from "../k8s/render.ts";
import type { Before } from "./commands.ts";
import { execIn, fleetReady, kubectl, type Pod } from "./kubectl.ts";
import { eventually, say } from "./shell.ts";

/** A minute of them, one every other second. */
const PROBES = 30;

const TENANT = "echo-tenant";
const CONTAINERS = [
  { container: "tcp", port: 8080, packet: "printf hello | nc -w1" },
  { container: "udp", port: 8081, packet: "printf hello | nc -u -w1" },
] as const;

/**
 * A fleet that is all that its owner may have: somebody who is admin of one namespace, and nothing else.
 * It comes up here, and nobody talks to it until `quietTests`.
 */
export class TenantFleet {
  #folder = "";
  readonly #as = `--as=system:serviceaccount:${TENANT}:tenant`;

  /** The tenant's own commands, from a cluster that has nothing of it. */
  tests(renderer: () => Renderer): void {
    test("who is admin of one namespace and nothing else has the whole fleet in it", async () => {
      await kubectl(["create", "namespace", TENANT]);
      await kubectl(["create", "serviceaccount", "tenant", "-n", TENANT]);
      const role = ["--clusterrole=admin", `--serviceaccount=${TENANT}:tenant`];
      await kubectl(["create", "rolebinding", "tenant", "-n", TENANT, ...role]);
      await expect(kubectl(["auth", "can-i", "create", "namespaces", this.#as])).rejects.toThrow("no");
      this.#folder = await renderer().folder({
        path: "overlays/namespaced",
        components: ["pool", "nodeport", "network-policy", "banner-fields", "dual-stack", "loadbalancer"],
        namespace: TENANT,
        settings: [
          "ECHO_LOG_LEVEL=debug",
          "ECHO_MAX_TCP_SESSIONS=1",
          "TCP_NODE_PORT=32234",
          "UDP_NODE_PORT=32678",
        ],
      });
      await kubectl(["apply", "-k", this.#folder, this.#as]);
      await fleetReady(60, TENANT);
      await kubectl([
        "wait",
        "-n",
        TENANT,
        "--for=condition=Ready",
        "pod",
        "--all",
        "--timeout=60s",
        this.#as,
      ]);
      await noUnhealthyStart();
    });
  }

  /** What it shows of all the time that nobody talked to it, and of the first packet; then its end. */
  quietTests(before: Before): void {
    test("a quiet fleet shows nothing but its probes, and then the one packet that arrived", async () => {
      const fleet = await fleetReady(30, TENANT);
      await Promise.all(fleet.map(isSilent));
      await onePacketShows(fleet[0]!);
      await isReadyWhenFull(fleet[1]!);
    });

    test("its owner deletes it, and nothing is left", async () => {
      await kubectl(["delete", "-k", this.#folder, this.#as]);
      await kubectl(["delete", "namespace", TENANT]);
      await before.isBack();
    });
  }
}

/** By the tenant's client, whom the network policy lets in. */
async function adminPage(ip: string, port: number, path: string): Promise<string> {
  return await execIn(TENANT, "echo-client1", `wget -q -O- http://${ip}:${port}${path}`);
}

async function noUnhealthyStart(): Promise<void> {
  const events = ["get", "events", "-n", TENANT, "--field-selector=reason=Unhealthy", "-o", "json"];
  const { items } = JSON.parse(await kubectl(events)) as { items: { message: string }[] };
  expect(items.map(({ message }) => message)).toEqual([]);
}

/** After many probes: no session, no byte, nothing on the page, and one line in the debug log. */
async function isSilent({ name, ip }: Pod): Promise<void> {
  for (const { container, port } of CONTAINERS) {
    const metrics = await eventually(`${PROBES} probes of ${name}`, 120, async () => {
      const now = new Metrics(await adminPage(ip, port, "/metrics"));
      return now.get("echo_probe_total", { result: "ok" }) >= PROBES ? now : null;
    });
    expect(metrics.get("echo_ready")).toBe(1);
    for (const quiet of [
      "sessions_opened_total",
      "sessions_active",
      "received_bytes_total",
      "sent_bytes_total",
    ]) {
      expect([name, container, quiet, metrics.get(`echo_${quiet}`, { protocol: container })]).toEqual([
        name,
        container,
        quiet,
        0,
      ]);
    }
    expect(metrics.get("echo_session_duration_seconds_count", { protocol: container })).toBe(0);
    expect(await shownOf(ip, port)).toEqual([0, 0, 0, 0, 0]);
    const log = await kubectl(["logs", name, "-n", TENANT, "-c", container]);
    expect(log.trim().split("\n")).toHaveLength(1);
  }
}

const facts = z.object({
  sessions: z.tuple([
    z.object({
      active: z.int(),
      opened: z.int(),
      refused: z.int(),
      receivedBytes: z.int(),
      sentBytes: z.int(),
    }),
  ]),
});

/** Active, opened, refused, bytes received and sent, as the page shows them. */
async function shownOf(ip: string, port: number): Promise<number[]> {
  const { sessions } = facts.parse(JSON.parse(await adminPage(ip, port, "/page.json")));
  const [{ active, opened, refused, receivedBytes, sentBytes }] = sessions;
  return [active, opened, refused, receivedBytes, sentBytes];
}

async function onePacketShows({ name, node, ip }: Pod): Promise<void> {
  for (const { container, port, packet } of CONTAINERS) {
    const answer = await execIn(
      TENANT,
      "echo-client1",
      `${packet} ${ip} ${container === "tcp" ? 1234 : 5678}`,
    );
    expect(answer).toContain(`\nPod: ${name}\nNode: ${node}\n\nhello`);
    const metrics = new Metrics(await adminPage(ip, port, "/metrics"));
    expect(metrics.get("echo_sessions_opened_total", { protocol: container })).toBe(1);
    expect(metrics.get("echo_received_bytes_total", { protocol: container })).toBe(5);
    expect((await shownOf(ip, port)).slice(1, 4)).toEqual([1, 0, 5]);
  }
}

/** The one session that there may be is there: the next one is refused, the probe is not. */
async function isReadyWhenFull({ name, ip }: Pod): Promise<void> {
  const script = `(printf mine; sleep 20) | nc ${ip} 1234`;
  const holding = execIn(TENANT, "echo-client1", script);
  const now = async (): Promise<Metrics> => new Metrics(await adminPage(ip, 8080, "/metrics"));
  await eventually("a session", 10, async () =>
    (await now()).get("echo_sessions_active", { protocol: "tcp" }) === 1 ? true : null,
  );
  const before = (await now()).get("echo_probe_total", { result: "ok" });
  await eventually("more probes", 15, async () =>
    (await now()).get("echo_probe_total", { result: "ok" }) >= before + 3 ? true : null,
  );
  const full = await now();
  expect(full.get("echo_ready")).toBe(1);
  expect(full.get("echo_sessions_active", { protocol: "tcp" })).toBe(1);
  expect(await adminPage(ip, 8080, "/readyz")).toStartWith("ready (full)");
  expect((await fleetReady(5, TENANT)).some((pod) => pod.name === name)).toBe(true);
  say(`a fleet at its cap of one session is ready: ${before + 3} probes or more, 1 session`);
  await holding;
}
