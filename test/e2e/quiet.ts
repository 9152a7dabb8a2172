import { expect, test } from "bun:test";
import { Metrics } from "../harness.ts";
import type { Renderer } from "../k8s/render.ts";
import {
  adminPage,
  execIn,
  fleetReady,
  inClient,
  kubectl,
  NAMESPACE,
  type Pod,
  rolledOut,
} from "./kubectl.ts";
import { eventually, say } from "./shell.ts";

/** A minute of them, one every other second. */
const PROBES = 30;
const CONTAINERS = [
  { container: "tcp", port: 8080, packet: "printf hello | nc -w1" },
  { container: "udp", port: 8081, packet: "printf hello | nc -u -w1" },
] as const;

/** A fleet that nobody talks to, and then one packet. Expects the cluster without a fleet, and leaves it so. */
export function quietTests(renderer: () => Renderer): void {
  test("a quiet fleet shows nothing but its probes, and then the one packet that arrived", async () => {
    const overlay = await renderer().folder({
      path: "overlays/dev",
      settings: ["ECHO_LOG_LEVEL=debug", "ECHO_MAX_TCP_SESSIONS=1"],
    });
    await kubectl(["apply", "-k", overlay]);
    try {
      await rolledOut(60);
      const fleet = await fleetReady(60);
      await kubectl(["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/echo-client1", "--timeout=60s"]);
      await noUnhealthyStart();
      await Promise.all(fleet.map(isSilent));
      await onePacketShows(fleet[0]!);
      await isReadyWhenFull(fleet[1]!);
    } finally {
      await kubectl(["delete", "-k", overlay]);
    }
  });
}

async function noUnhealthyStart(): Promise<void> {
  const events = ["get", "events", "-n", NAMESPACE, "--field-selector=reason=Unhealthy", "-o", "json"];
  const { items } = JSON.parse(await kubectl(events)) as { items: { message: string }[] };
  expect(items.map(({ message }) => message)).toEqual([]);
}

/** After many probes: no session, no byte, nothing on the page, and one line in the debug log. */
async function isSilent({ name }: Pod): Promise<void> {
  for (const { container, port } of CONTAINERS) {
    const metrics = await eventually(`${PROBES} probes of ${name}`, 120, async () => {
      const now = new Metrics(await adminPage(name, port, "/metrics"));
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
    expect(await rowOf(name, port)).toEqual(["0", "0", "0", "0 B", "0 B"]);
    const log = await kubectl(["logs", name, "-n", NAMESPACE, "-c", container]);
    expect(log.trim().split("\n")).toHaveLength(1);
  }
}

/** Active, opened, refused, received, sent, as the page has them. */
async function rowOf(pod: string, port: number): Promise<string[]> {
  const page = await adminPage(pod, port, "/");
  return [...page.matchAll(/<td class="n">([^<]*)<\/td>/g)].map(([, text]) => text!);
}

async function onePacketShows({ name, ip }: Pod): Promise<void> {
  for (const { container, port, packet } of CONTAINERS) {
    await inClient(`${packet} ${ip} ${container === "tcp" ? 1234 : 5678}`);
    const metrics = new Metrics(await adminPage(name, port, "/metrics"));
    expect(metrics.get("echo_sessions_opened_total", { protocol: container })).toBe(1);
    expect(metrics.get("echo_received_bytes_total", { protocol: container })).toBe(5);
    expect((await rowOf(name, port)).slice(1, 4)).toEqual(["1", "0", "5 B"]);
  }
}

/** The one session that there may be is there: the next one is refused, the probe is not. */
async function isReadyWhenFull({ name, ip }: Pod): Promise<void> {
  const script = `(printf mine; sleep 20) | nc ${ip} 1234`;
  const holding = execIn(NAMESPACE, "echo-client1", script);
  const now = async (): Promise<Metrics> => new Metrics(await adminPage(name, 8080, "/metrics"));
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
  expect(await adminPage(name, 8080, "/readyz")).toStartWith("ready (full)");
  expect((await fleetReady(5)).some((pod) => pod.name === name)).toBe(true);
  say(`a fleet at its cap of one session is ready: ${before + 3} probes or more, 1 session`);
  await holding;
}
