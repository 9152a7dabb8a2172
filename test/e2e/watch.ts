import { expect, test } from "bun:test";
import type { EventLine, FlowSummary, Line } from "../../src/diagnose/watch/line.ts";
import type { ProbeName } from "../../src/diagnose/watch/settings.ts";
import { ServerProcess } from "../harness.ts";
import { fleetReady, kubectl, NAMESPACE, nodeAddresses, rolledOut } from "./kubectl.ts";
import { NodeLink } from "./node-link.ts";
import { eventually, say } from "./shell.ts";

/**
 * `watch` while a fleet is rolled, a Pod dies and a node loses its link, from a Pod and from outside. Expects dev with
 * NodePort to be there.
 */

const WATCHER = "echo-watch";
const HELD: readonly ProbeName[] = ["tcp-held", "udp-fixed", "udp-connected"];

const NODE_PORTS = { tcp: 31234, udp: 31678 } as const;

/** Under the restricted standard, as docs/diagnosis.md has it for check. @param nodeName null for any */
const overridesOn = (nodeName: string | null) => ({
  spec: {
    ...(nodeName !== null && { nodeName }),
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: WATCHER,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

function eventsIn(lines: readonly Line[]): EventLine[] {
  return lines.filter((line): line is EventLine => line.event !== "summary");
}

/** `watch --json` in a Pod of its own; what it prints is read as it comes. */
class WatcherPod implements AsyncDisposable {
  readonly #logs: ServerProcess;

  private constructor(logs: ServerProcess) {
    this.#logs = logs;
  }

  /** @param node where it runs; null for any */
  static async start(node: string | null, ...args: string[]): Promise<WatcherPod> {
    const image = ["--image=echo-server:dev", "--restart=Never", "--override-type=strategic"];
    const own = [
      "run",
      WATCHER,
      "-n",
      NAMESPACE,
      ...image,
      `--overrides=${JSON.stringify(overridesOn(node))}`,
    ];
    await kubectl([...own, "--", "watch", ...args, "--json"]);
    await kubectl(["wait", "--for=condition=Ready", `pod/${WATCHER}`, "-n", NAMESPACE, "--timeout=30s"]);
    const command = ["kubectl", "logs", "-f", WATCHER, "-n", NAMESPACE];
    return new WatcherPod(new ServerProcess([], { command, env: process.env }));
  }

  get lines(): Line[] {
    return this.#logs.log as unknown as Line[];
  }

  get events(): EventLine[] {
    return eventsIn(this.lines);
  }

  /** Ends it as Kubernetes does, by SIGTERM. @returns the flows of each target */
  async stop(): Promise<Map<string, Record<string, FlowSummary>>> {
    await kubectl(["delete", "pod", WATCHER, "-n", NAMESPACE]);
    await this.#logs.exited;
    const summaries = this.lines.filter((line) => line.event === "summary");
    return new Map(summaries.map(({ target, flows }) => [target, flows as Record<string, FlowSummary>]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kubectl(["delete", "pod", WATCHER, "-n", NAMESPACE, "--ignore-not-found", "--now"]);
    await this.#logs[Symbol.asyncDispose]();
  }
}

/** Asks the UDP port of a node from outside; it shares nothing with `watch`. */
class NodeProber implements AsyncDisposable {
  readonly #process: ServerProcess;

  constructor(node: string) {
    const script = new URL("../net/watch/prober.ts", import.meta.url).pathname;
    const command = [process.execPath, script, node, String(NODE_PORTS.udp), "10"];
    this.#process = new ServerProcess([], { command });
  }

  get isAnswered(): boolean {
    return this.#process.stdout.includes("answered");
  }

  /** How long the first silence was that is more than a lost datagram; waits for its end. ms */
  async outage(): Promise<number> {
    return await eventually("the prober is back", 30, async () => {
      const silences = [...this.#process.stdout.matchAll(/^silence (\d+) /gm)].map(([, ms]) => Number(ms));
      return silences.find((ms) => ms > 500) ?? null;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

export function watchTests(): void {
  test("a rolling restart: newcomers always get in, each move names Pods that existed, and a cut is told as one", async () => {
    const before = await fleetReady(30);
    const node = [...(await nodeAddresses()).values()][0]!;
    // From outside, as a pipeline asks: its exit code says whether newcomers always got in.
    await using newcomers = new ServerProcess([
      ...[
        "watch",
        `tcp://${node}:${NODE_PORTS.tcp}`,
        `udp://${node}:${NODE_PORTS.udp}`,
        "--probes",
        "tcp-new,udp-new",
        "--max-outage",
        "0ms",
        "--json",
      ],
    ]);
    await using watcher = await WatcherPod.start(null, "echo-server", "server1.headless");
    await eventually("all flows are answered", 30, async () => (watcher.events.length >= 10 ? true : null));
    await kubectl(["rollout", "restart", "deployments", "-n", NAMESPACE]);
    await rolledOut(120);
    const after = await fleetReady(30);
    await eventually("the held session is back", 30, async () =>
      watcher.events.some(({ flow, event }) => flow === "tcp-held" && event === "back") ? true : null,
    );
    const { exitCode, stdout } = await newcomers.stop("SIGINT");
    const summaries = await watcher.stop();
    for (const { at, target, flow, event, says } of watcher.events)
      say(`${at} ${target} ${flow} ${event}: ${says}`);
    for (const [target, flows] of summaries) {
      for (const [name, { sent, lost, outages }] of Object.entries(flows)) {
        say(
          `${target} ${name}: ${lost} of ${sent} lost, ${outages.count} outages, ${outages.longestMs} ms at most`,
        );
      }
    }
    const addresses = [...before, ...after].map(({ ip }) => ip);
    const hostOf = (end: string): string => end.slice(0, end.lastIndexOf(":"));
    const moves = watcher.events.filter(({ event }) => event === "moved");
    expect(moves.length).toBeGreaterThan(0);
    for (const { from, to } of moves) {
      expect(addresses).toContain(hostOf(from!));
      expect(addresses).toContain(hostOf(to!));
    }
    const service = summaries.get("echo-server")!;
    for (const name of ["tcp-new", "udp-new"])
      expect([name, service[name]!.outages.count]).toEqual([name, 0]);
    expect(watcher.events.some(({ flow, event }) => flow === "tcp-held" && event === "closed")).toBe(true);
    expect([exitCode, stdout.includes('"refused"')]).toEqual([0, false]);
  });

  test("a Pod is deleted: the outage by its node's port is what another prober saw", async () => {
    const victim = (await fleetReady(30))[0]!;
    const node = (await nodeAddresses()).get(victim.node)!;
    await using watching = new ServerProcess([
      ...["watch", `udp://${node}:${NODE_PORTS.udp}`, "--interval", "50ms", "--json"],
    ]);
    await using prober = new NodeProber(node);
    await eventually("all are answered", 30, async () =>
      watching.log.length >= 3 && prober.isAnswered ? true : null,
    );
    await kubectl(["delete", "pod", victim.name, "-n", NAMESPACE, "--grace-period=0", "--force"]);
    const back = await watching.waitForLog(
      (line) => line["flow"] === "udp-fixed" && line["event"] === "back",
    );
    const seen = await prober.outage();
    say(`a Pod was deleted: udp-fixed was out for ${back["silentMs"]} ms, and the prober for ${seen}`);
    expect(Math.abs(Number(back["silentMs"]) - seen)).toBeLessThan(100);
    await watching.stop("SIGINT");
    await fleetReady(60);
  });

  test("a node's link is down: each flow is out as long as another prober, by headless name and by its port, and TCP says so", async () => {
    const [victim, other] = await fleetReady(30);
    const node = (await nodeAddresses()).get(victim!.node)!;
    await using link = await NodeLink.of(node);
    await using watcher = await WatcherPod.start(other!.node, `${victim!.instance}.headless`, "-i", "50ms");
    const ports = [`tcp://${node}:${NODE_PORTS.tcp}`, `udp://${node}:${NODE_PORTS.udp}`];
    await using outside = new ServerProcess(["watch", ...ports, "-i", "50ms", "--json"]);
    await using prober = new NodeProber(node);
    const linesOf = {
      "by headless name": () => watcher.events,
      "by its port": () => eventsIn(outside.log as unknown as Line[]),
    };
    const hasAll = (event: string, flows: readonly ProbeName[]): boolean =>
      Object.values(linesOf).every((lines) =>
        flows.every((flow) => lines().some((line) => line.flow === flow && line.event === event)),
      );
    await eventually("all are answered", 30, async () =>
      hasAll("answered", [...HELD, "tcp-new", "udp-new"]) && prober.isAnswered ? true : null,
    );
    await link.down();
    await eventually("all are silent", 30, async () => (hasAll("silent", HELD) ? true : null));
    await link.up();
    const seen = await prober.outage();
    await eventually("all are back", 30, async () => (hasAll("back", HELD) ? true : null));
    await watcher.stop();
    await outside.stop("SIGINT");
    for (const [way, lines] of Object.entries(linesOf)) {
      for (const { flow, event, says } of lines())
        if (event !== "answered") say(`${way} ${flow} ${event}: ${says}`);
      const backs = lines().filter(({ event, flow }) => event === "back" && HELD.includes(flow));
      say(
        `${way} ${backs.map(({ flow, silentMs }) => `${flow} ${silentMs} ms`).join(", ")}; the prober ${seen} ms`,
      );
      expect(backs.map(({ flow }) => flow).toSorted()).toEqual(HELD.toSorted()); // each once
      for (const { flow, silentMs } of backs) {
        if (flow === "tcp-held")
          expect(silentMs!).toBeGreaterThan(seen - 200); // it may wait for TCP's own back-off
        else expect(Math.abs(silentMs! - seen)).toBeLessThan(150);
      }
      expect(lines().some(({ event }) => event === "stuck" || event === "moved")).toBe(false);
    }
    await fleetReady(60);
  });
}
