import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { FleetReport } from "../../src/diagnose/fleet/result.ts";
import { FLEET_REPORT } from "../fleet/schema.ts";
import { MAIN } from "../harness.ts";
import type { Renderer } from "../k8s/render.ts";
import { fleetReady, kubectl, kubectlLine, NAMESPACE, pods, rolledOut } from "./kubectl.ts";
import { eventually, run, Stopwatch, say } from "./shell.ts";

/** `echo-server fleet` from this machine, on a fleet whose network is well, and on one that a test has broken. */

/** Somebody who is admin of the fleet's namespace, and of nothing else. */
const ADMIN = "fleet-admin";

/** Its kubeconfig. */
const KUBECONFIG = "/tmp/echo-e2e-fleet.kubeconfig";

/** A test that breaks a node's network, which has to be a network namespace of this machine, `ec-NODE`, to be broken so. */
function nodeTest(what: string, act: (one: string, other: string) => Promise<void>): void {
  test(what, async () => {
    const [one, other] = await twoNodes();
    if (existsSync(`/run/netns/ec-${one}`)) await act(one, other);
    else say(`left out, since ${one} is no network namespace of this machine: ${what}`);
  });
}

/** Finds and leaves dev with NodePort, every server ready. */
export function fleetTests(renderer: () => Renderer): void {
  test("fleet: by the rights of one namespace's admin, all well", async () => {
    const overlay = await renderer().folder({ path: "overlays/dev-nodeport", components: ["hairpin"] });
    await kubectl(["apply", "-k", overlay]);
    await rolledOut(120);
    await fleetReady(60);
    await makeAdmin();
    const watch = new Stopwatch();
    const report = await eventually("a fleet that is well", 60, async () => {
      const found = await asked();
      return found.exitCode === 0 ? found.report : null;
    });
    say(
      `fleet: ${report.cells.length} cells, all well after ${watch}, the last run ${report.seconds.toFixed(1)} s`,
    );
    expect(report.seconds).toBeLessThan(30);
    const measured = (way: string): number =>
      report.cells.filter((cell) => cell.way === way && cell.ok === true).length;
    // Another node's port is asked by this machine alone: the Service is Local.
    expect(["pod", "name", "service", "nodeport", "self"].map(measured)).toEqual([12, 12, 6, 12, 6]);
  });

  test("fleet: the network policy lets servers ask each other", async () => {
    const components = ["hairpin", "network-policy"];
    await kubectl(["apply", "-k", await renderer().folder({ path: "overlays/dev-nodeport", components })]);
    await eventually("a fleet that is well", 30, async () => ((await asked()).exitCode === 0 ? true : null));
    await kubectl(["delete", "networkpolicy", "--all", "-n", NAMESPACE]);
    await eventually("a fleet without policies", 30, async () =>
      (await asked()).exitCode === 0 ? true : null,
    );
  });

  test("fleet: a policy that forbids is named", async () => {
    const forbid = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "no-udp", namespace: NAMESPACE },
      spec: {
        podSelector: { matchLabels: { "app.kubernetes.io/name": "echo-server" } },
        ingress: [{ ports: [{ port: "tcp" }, { port: "tcp-admin" }, { port: "udp-admin" }] }],
      },
    };
    await kubectl(["create", "-f", "-"], { stdin: JSON.stringify(forbid) });
    try {
      await eventually("a policy that is in force", 30, async () => {
        const { says } = await firstProblem();
        expect(says).toStartWith("NetworkPolicy no-udp forbids it: no UDP");
        return true;
      });
      const { report } = await asked();
      expect(report.cells.filter(({ ok, protocol }) => ok === false && protocol === "tcp")).toEqual([]);
    } finally {
      await kubectl(["delete", "networkpolicy", "no-udp", "-n", NAMESPACE]);
    }
  });

  nodeFaultTests();

  test("fleet: a Pod that is gone and has no other place", async () => {
    const nodes = (await kubectl(["get", "nodes", "-o", "name"])).trim().split("\n");
    const victim = (await pods("app.kubernetes.io/instance=server3"))[0]!;
    const home = victim.node;
    await kubectl(["cordon", ...nodes]);
    try {
      await kubectl(["delete", "pod", victim.name, "-n", NAMESPACE, "--grace-period=0", "--force"]);
      const report = await eventually("a fleet with a Pod that waits", 30, async () => {
        const found = await asked();
        expect(found.exitCode).toBe(1);
        expect(found.report.notes).toContain("not ready: server3");
        // The name's old address may be remembered for a moment.
        expect(found.report.problems.map(({ code, likely }) => [code, likely])).toEqual([
          ["no_such_name", "server3 is not ready"],
        ]);
        return found.report;
      });
      expect(report.cells.filter(({ from, ok }) => from === "server3" && ok !== null)).toEqual([]);
    } finally {
      // Its own first: the Pod that waits goes to whichever may have it at once.
      await kubectl(["uncordon", home]);
      await fleetReady(60);
      await kubectl(["uncordon", ...nodes]);
    }
  });

  test("fleet: what it was tried with goes", async () => {
    await kubectl([
      "delete",
      "service",
      "-n",
      NAMESPACE,
      "server1-hairpin",
      "server2-hairpin",
      "server3-hairpin",
    ]);
    await kubectl(["delete", "serviceaccount,rolebinding", ADMIN, "-n", NAMESPACE]);
    await rm(KUBECONFIG);
    await kubectlLine("kubectl apply -k k8s/overlays/dev-nodeport");
    await fleetReady(30);
  });
}

/** Two nodes that have a server each. */
async function twoNodes(): Promise<readonly [string, string]> {
  const [one, other] = [...new Set((await fleetReady(60)).map(({ node }) => node))].sort();
  if (one === undefined || other === undefined) throw new Error("all servers are on one node");
  return [one, other];
}

const numberOf = (node: string): string => node.slice("node".length);
const podsOn = (node: string): string => `10.244.${numberOf(node)}.0/24`;

function nodeFaultTests(): void {
  nodeTest("fleet: UDP dropped from one node to another is that and nothing else", async (one, other) => {
    const rule = ["FORWARD", "-p", "udp", "-s", podsOn(one), "-d", podsOn(other), "-j", "DROP"];
    await inNode(other, ["iptables", "-I", ...rule]);
    try {
      const { report } = await asked();
      expect(report.problems.map(({ says }) => says)).toEqual([
        `no UDP passes between ${one} and ${other}; which of the two ways is dead an echo cannot tell`,
      ]);
      expect(report.cells.filter(({ ok, protocol }) => ok === false && protocol === "tcp")).toEqual([]);
    } finally {
      await inNode(other, ["iptables", "-D", ...rule]);
    }
  });

  nodeTest("fleet: a narrow way whose ICMP is filtered is for large ones only", async (one, other) => {
    await using _ = await narrowWay(one, other);
    const { report } = await asked(["--mtu"]);
    expect(report.problems[0]).toMatchObject({
      code: "mtu_black_hole",
      says: `no large message passes between ${one} and ${other}; small ones do`,
    });
  });

  nodeTest("fleet: a node without kube-proxy's rules for the NodePort", async (_one, node) => {
    const rules = ["tcp", "udp"].map((protocol) => {
      const match = ["-p", protocol, "-m", "multiport", "--dports", "31234,31678"];
      return ["PREROUTING", "-t", "nat", ...match, "-j", "ACCEPT"];
    });
    for (const rule of rules) await inNode(node, ["iptables", "-I", ...rule]);
    try {
      const { says, code } = await firstProblem();
      expect([code, says]).toEqual(["refused", `nothing reaches ${node} by NodePort, from anywhere`]);
    } finally {
      for (const rule of rules) await inNode(node, ["iptables", "-D", ...rule]);
    }
  });

  nodeTest(
    "fleet: a node's link is down: nothing reaches it, and from it nothing is measured",
    async (_one, node) => {
      const link = `ecv${numberOf(node)}`;
      await run(["ip", "link", "set", link, "down"]);
      try {
        const { exitCode, report } = await asked();
        expect(exitCode).toBe(1);
        expect(report.problems.map(({ says }) => says)).toEqual([
          `nothing reaches ${node}, from anywhere, by any way`,
        ]);
        expect(report.cells.filter(({ fromNode, ok }) => fromNode === node && ok !== null)).toEqual([]);
        say(`fleet: a node without its link is told of after ${report.seconds.toFixed(1)} s`);
        expect(report.seconds).toBeLessThan(60);
      } finally {
        await run(["ip", "link", "set", link, "up"]);
      }
      await eventually("a fleet that is well again", 60, async () =>
        (await asked()).exitCode === 0 ? true : null,
      );
      await fleetReady(60);
    },
  );
}

/** A user whose rights are the ClusterRole `admin` of the fleet's namespace, and a kubeconfig that is that user's. */
async function makeAdmin(): Promise<void> {
  await kubectl(["create", "serviceaccount", ADMIN, "-n", NAMESPACE]);
  const role = ["--clusterrole=admin", `--serviceaccount=${NAMESPACE}:${ADMIN}`];
  await kubectl(["create", "rolebinding", ADMIN, "-n", NAMESPACE, ...role]);
  const token = (await kubectl(["create", "token", ADMIN, "-n", NAMESPACE, "--duration=2h"])).trim();
  await Bun.write(KUBECONFIG, await kubectl(["config", "view", "--raw", "--minify", "--flatten"]));
  const asAdmin = ["--kubeconfig", KUBECONFIG];
  await kubectl(["config", "set-credentials", ADMIN, `--token=${token}`, ...asAdmin]);
  await kubectl(["config", "set-context", "--current", `--user=${ADMIN}`, ...asAdmin]);
  await expect(kubectl(["auth", "can-i", "list", "nodes", ...asAdmin])).rejects.toThrow("no");
}

async function fleet(args: readonly string[]): Promise<{ exitCode: number; stdout: string }> {
  const command = [process.execPath, MAIN, "fleet", ...args];
  return await run(command, { env: { KUBECONFIG }, allowed: [0, 1] });
}

async function asked(args: readonly string[] = []): Promise<{ exitCode: number; report: FleetReport }> {
  const { exitCode, stdout } = await fleet([...args, "--json"]);
  return { exitCode, report: FLEET_REPORT.parse(JSON.parse(stdout)) as FleetReport };
}

async function firstProblem(): Promise<FleetReport["problems"][number]> {
  const { report } = await asked();
  const [first] = report.problems;
  if (first === undefined) throw new Error("all is well");
  return first;
}

async function inNode(node: string, command: readonly string[]): Promise<string> {
  return (await run(["nsenter", `--net=/run/netns/ec-${node}`, ...command])).stdout;
}

/** 1,400 bytes from each of two nodes to the other's Pods, and neither says so. */
async function narrowWay(one: string, other: string): Promise<AsyncDisposable> {
  const silence = ["OUTPUT", "-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];
  const undo: (() => Promise<unknown>)[] = [];
  for (const [node, to] of [[one, other] as const, [other, one] as const]) {
    const route = (await inNode(node, ["ip", "route", "show", podsOn(to)])).trim().split(/\s+/);
    await inNode(node, ["ip", "route", "replace", ...route, "mtu", "lock", "1400"]);
    undo.push(() => inNode(node, ["ip", "route", "replace", ...route]));
    await inNode(node, ["iptables", "-I", ...silence]);
    undo.push(() => inNode(node, ["iptables", "-D", ...silence]));
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const each of undo) await each();
    },
  };
}
