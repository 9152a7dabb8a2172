import { expect, test } from "bun:test";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Metrics } from "../harness.ts";
import { Renderer } from "../k8s/render.ts";
import {
  adminPage,
  fleetReady,
  inClient,
  kubectl,
  kubectlLine,
  NAMESPACE,
  nodeAddresses,
  pods,
  rolledOut,
} from "./kubectl.ts";
import { tcpEcho } from "./net.ts";
import { eventually, Stopwatch, say } from "./shell.ts";
import { SlowReaders } from "./slow-readers.ts";

const SLOW_READERS = 5000;

const budget = z.object({ status: z.object({ currentHealthy: z.int(), desiredHealthy: z.int() }) });

/** What goes wrong in a cluster. Each test finds and leaves dev with NodePort, every server ready. */
export function faultTests(renderer: () => Renderer): void {
  podFaultTests();
  settingFaultTests(renderer);
  drainTests();
}

function podFaultTests(): void {
  test("a Pod is killed: its name comes back", async () => {
    const victim = (await fleetReady(30)).find(({ instance }) => instance === "server2")!;
    const watch = new Stopwatch();
    await kubectl(["delete", "pod", victim.name, "-n", NAMESPACE, "--grace-period=0", "--force"]);
    await eventually("server2.headless with another address", 60, async () => {
      const text = await inClient("printf back | nc -w1 server2.headless 1234");
      return text.endsWith("\n\nback") && !text.includes(victim.ip) ? true : null;
    });
    say(`server2 was killed and its name answered again after ${watch}`);
    await fleetReady(30);
  });

  test("5,000 clients that never read do not get the Pod killed, and others go on", async () => {
    const fleet = await fleetReady(30);
    const nodes = await nodeAddresses();
    const target = fleet[0]!;
    const endpoint = { host: nodes.get(target.node)!, port: 31234 };
    const memory = async (): Promise<number> =>
      new Metrics(await adminPage(target.name, 8080, "/metrics")).get("process_resident_memory_bytes") /
      2 ** 20;
    const atFirst = await memory();
    using readers = new SlowReaders();
    while (readers.count < SLOW_READERS) readers.open(endpoint);
    let peak = 0;
    await eventually("the server to take no more", 120, async () => {
      const pushed = readers.push();
      peak = Math.max(peak, await memory());
      await tcpEcho(endpoint, "still there?");
      return pushed === 0 ? true : null;
    });
    say(
      `${readers.count} clients sent ${(readers.taken / 2 ** 20).toFixed(0)} MiB and read nothing: the server's memory went from ${atFirst.toFixed(0)} to ${peak.toFixed(0)} MiB at most`,
    );
    const now = (await pods()).find(({ name }) => name === target.name);
    expect(now).toMatchObject({ restarts: target.restarts, ready: true });
    const metrics = new Metrics(await adminPage(target.name, 8080, "/metrics"));
    expect(metrics.get("echo_sessions_active", { protocol: "tcp" })).toBeGreaterThanOrEqual(SLOW_READERS);
  });
}

function settingFaultTests(renderer: () => Renderer): void {
  test("a wrong setting: the Pod's log says which in one line, and the others go on", async () => {
    const settings = ["ECHO_TCP_IDLE_TIMEOUT=5 parsecs"];
    await kubectl(["apply", "-k", await renderer().folder({ path: "overlays/dev-nodeport", settings })]);
    const log = await eventually("a server that does not start, and says why", 60, async () => {
      const wrong = (await pods("app.kubernetes.io/instance=server1")).find(({ restarts }) => restarts > 0);
      if (wrong === undefined) return null;
      const text = await kubectl(["logs", wrong.name, "-n", NAMESPACE, "-c", "tcp"]);
      return text.startsWith("echo-server:") ? text : null; // between two tries there may be no log to have
    });
    say(`the log of a Pod with a wrong setting: ${log.trim()}`);
    expect(log.trim().split("\n")).toHaveLength(1);
    expect(log).toMatch(/tcp-idle-timeout|ECHO_TCP_IDLE_TIMEOUT/);
    expect(log).toContain("5 parsecs");
    for (const [, host] of await nodeAddresses()) await tcpEcho({ host, port: 31234 }, "still there?");
    await kubectlLine("kubectl apply -k k8s/overlays/dev-nodeport");
    await rolledOut(60);
    await fleetReady(30);
  });

  test("one line of an overlay changes the TCP port, end to end", async () => {
    await using copy = await Renderer.start();
    await appendFile(join(copy.root, "overlays/dev/settings.env"), "ECHO_TCP_PORT=2345\n");
    await kubectl(["apply", "-k", join(copy.root, "overlays/dev-nodeport")]);
    await rolledOut(120);
    const fleet = await fleetReady(30);
    for (const name of ["server1.headless", "server2.headless", "server3.headless", "echo-server"]) {
      await eventually(`an answer of ${name} on port 2345`, 15, async () =>
        (await inClient(`printf moved | nc -w1 ${name} 2345`)).endsWith("\n\nmoved") ? true : null,
      );
    }
    await expect(inClient("printf gone | nc -w1 server1.headless 1234")).rejects.toThrow();
    const nodes = await nodeAddresses();
    for (const { node, ip } of fleet) {
      expect(await tcpEcho({ host: nodes.get(node)!, port: 31234 }, "moved")).toMatchObject({
        server: `${ip}:2345`,
      });
    }
    await kubectlLine("kubectl apply -k k8s/overlays/dev-nodeport");
    await rolledOut(120);
  });
}

function drainTests(): void {
  test("two nodes are drained at once: the budget holds, and one node carries all three", async () => {
    const fleet = await fleetReady(30);
    const client = (await pods("app.kubernetes.io/name=echo-client"))[0]!;
    const drained = fleet.map(({ node }) => node).filter((node) => node !== client.node);
    let healthyMin = Number.POSITIVE_INFINITY;
    let watching = true;
    const watchBudget = async (): Promise<void> => {
      while (watching) {
        const text = await kubectl(["get", "pdb", "echo-server", "-n", NAMESPACE, "-o", "json"]);
        const { currentHealthy, desiredHealthy } = budget.parse(JSON.parse(text)).status;
        expect(desiredHealthy).toBe(2);
        healthyMin = Math.min(healthyMin, currentHealthy);
      }
    };
    const watcher = watchBudget();
    const watch = new Stopwatch();
    try {
      await Promise.all(
        drained.map((node) =>
          kubectl(["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]),
        ),
      );
      const after = await fleetReady(60);
      say(`draining ${drained} took ${watch}; at least ${healthyMin} servers were healthy all the time`);
      expect(new Set(after.map(({ node }) => node))).toEqual(new Set([client.node]));
      watching = false;
      await watcher;
      expect(healthyMin).toBeGreaterThanOrEqual(2);
    } finally {
      watching = false;
      await kubectl(["uncordon", ...drained]);
    }
  });
}
