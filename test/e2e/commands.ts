import { beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  fleetReady,
  inClient,
  inventory,
  kubectl,
  kubectlLine,
  NAMESPACE,
  nodeAddresses,
  pods,
  rolledOut,
} from "./kubectl.ts";
import { addressOf, parseBanner, tcpEcho, udpEcho } from "./net.ts";
import { eventually, Stopwatch, say } from "./shell.ts";

/** What was on the cluster before; what must be on it after. */
export class Before {
  #inventory: readonly string[] = [];

  async note(): Promise<void> {
    this.#inventory = await inventory();
  }

  /** @throws with what is there that was not, or not there that was, once nothing goes away any more */
  async isBack(): Promise<void> {
    await eventually("the cluster as it was before", 60, async () => {
      const now = await inventory();
      expect(now.filter((name) => !this.#inventory.includes(name))).toEqual([]);
      expect(this.#inventory.filter((name) => !now.includes(name))).toEqual([]);
      return true;
    });
  }
}

const allReady = ["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=60s"];

/** What the documentation tells a person to type, typed. */
export function commandTests(before: Before): void {
  beforeAll(() => before.note());
  applyTests(before);
  nameTests();
  containerTests();
  nodePortTests();
}

function applyTests(before: Before): void {
  test("the rendered file can be created and deleted, and nothing is left", async () => {
    const folder = await mkdtemp("/tmp/echo-rendered-");
    const file = join(folder, "dev.yaml");
    try {
      await Bun.write(file, await kubectlLine("kubectl kustomize k8s/overlays/dev"));
      await kubectl(["create", "-f", file]);
      await kubectl(allReady);
      await kubectl(["delete", "-f", file]);
      await before.isBack();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("kubectl apply -k k8s/overlays/dev: every Pod is ready within a minute", async () => {
    const watch = new Stopwatch();
    await kubectlLine("kubectl apply -k k8s/overlays/dev");
    await kubectl(allReady);
    say(`kubectl apply -k k8s/overlays/dev: all Pods ready after ${watch}`);
  });

  test("kubectl get pods: three servers on three nodes with 2/2, and the client", async () => {
    const text = await kubectlLine("kubectl get pods -n echo-server -o wide --no-headers");
    const rows = text
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(
      rows.map(([name, ready, status]) => `${name!.replace(/-\w+-\w+$/, "")} ${ready} ${status}`).sort(),
    ).toEqual([
      "echo-client1 1/1 Running",
      "server1 2/2 Running",
      "server2 2/2 Running",
      "server3 2/2 Running",
    ]);
    const used = new Set((await pods()).map(({ node }) => node));
    expect(used.size).toBe(Math.min(3, (await nodeAddresses()).size));
  });
}

function nameTests(): void {
  test("the name headless has three addresses, server1.headless one", async () => {
    const fleet = await fleetReady(10);
    // A resolver may remember for some seconds what was before.
    await eventually("the addresses of the three servers", 30, async () => {
      const all = await kubectlLine(
        "kubectl exec echo-client1 -n echo-server -- nslookup headless.echo-server.svc.cluster.local",
      );
      expect(answersOf(all)).toEqual(fleet.map(({ ip }) => ip).sort());
      return true;
    });
    for (const { instance, ip } of fleet) {
      const one = await inClient(`nslookup ${instance}.headless.echo-server.svc.cluster.local`);
      expect(answersOf(one)).toEqual([ip]);
    }
  });

  test("nc reaches each server by name, TCP and UDP, and sees its own address", async () => {
    const fleet = await fleetReady(10);
    const client = (await pods("app.kubernetes.io/name=echo-client"))[0]!;
    for (const { instance, ip } of fleet) {
      for (const [nc, port] of [["nc -w1", 1234] as const, ["nc -u -w1", 5678] as const]) {
        const text = await inClient(`printf 'Test1\\n' | ${nc} ${instance}.headless ${port}`);
        const banner = parseBanner(text);
        expect(banner?.server).toBe(`${ip}:${port}`);
        expect(addressOf(banner!.client)).toBe(client.ip);
        expect(text.slice(banner!.length)).toBe("Test1\n");
      }
    }
  });

  test("nc reaches some server through the Service", async () => {
    const addresses = (await fleetReady(10)).map(({ ip }) => ip);
    for (const [nc, port] of [["nc -w1", 1234] as const, ["nc -u -w1", 5678] as const]) {
      const text = await inClient(`printf 'Test1\\n' | ${nc} echo-server ${port}`);
      expect(addresses).toContain(addressOf(parseBanner(text)!.server));
    }
  });
}

function containerTests(): void {
  test("echo-server health answers in both containers", async () => {
    for (const container of ["tcp", "udp"]) {
      await kubectlLine(`kubectl exec -n echo-server deploy/server1 -c ${container} -- echo-server health`);
    }
  });

  test("each container logs one line when it is ready, with its addresses", async () => {
    for (const [container, addresses] of [
      ["tcp", { tcp: ["[::]:1234"], udp: [] }],
      ["udp", { tcp: [], udp: expect.arrayContaining(["[::]:5678"]) }],
    ] as const) {
      const log = await kubectlLine(`kubectl logs -n echo-server deploy/server1 -c ${container}`);
      const lines = log.trim().split("\n");
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0]!)).toMatchObject({ msg: "ready", ...addresses });
    }
  });
}

function nodePortTests(): void {
  test("NodePort: every node answers with its own server, which sees the real client", async () => {
    await kubectlLine("kubectl apply -k k8s/overlays/dev-nodeport");
    await rolledOut(120); // the loop guard's list is another one with a NodePort
    const fleet = await fleetReady(10);
    for (const [node, host] of await nodeAddresses()) {
      const server = fleet.find((pod) => pod.node === node);
      if (server === undefined) continue; // Local: a node without a server does not answer
      const tcp = await eventually("an answer by TCP", 10, () => tcpEcho({ host, port: 31234 }, "Test1\n"));
      expect(tcp).toMatchObject({ server: `${server.ip}:1234` });
      expect(addressOf(tcp.client)).toBe(tcp.from);
      const udp = await eventually("an answer by UDP", 10, () => udpEcho({ host, port: 31678 }, "Test1\n"));
      expect(udp).toMatchObject({ server: `${server.ip}:5678` });
      expect(addressOf(udp.client)).toBe(tcp.from);
    }
  });
}

/** What nslookup says a name resolves to: its addresses after the name, not those of the resolver. */
function answersOf(nslookup: string): string[] {
  const answers = nslookup.slice(nslookup.indexOf("Name:"));
  return [...answers.matchAll(/^Address(?: \d+)?:\s*(\S+)/gm)].map(([, address]) => address!).sort();
}
