import { expect, test } from "bun:test";
import { z } from "zod";
import { Metrics } from "../harness.ts";
import { findPromtool, type Renderer } from "../k8s/render.ts";
import {
  adminPage,
  fleetReady,
  kubectl,
  kubectlLine,
  NAMESPACE,
  nodeAddresses,
  type Pod,
  pods,
  rolledOut,
} from "./kubectl.ts";
import { NodeLink } from "./node-link.ts";
import { eventually, run, Stopwatch, say } from "./shell.ts";

/** The probers beside the servers: what they know of each other, when the network is well and when it is not. */

const TCP_ADMIN = 8080;
const MESH_ADMIN = 8082;

/** What is asked of a new mesh: all of it known so soon after the Pods are ready. */
const FULL_SECONDS = 10;

/** Half of the limit of a prober's container in k8s/wiring/mesh. */
const MEMORY_MAX_MIB = 128;

/** From the first probe of a peer that is silent to the word that it is down. */
const DOWN_INTERVALS = 3;

const matrix = z.object({
  intervalMs: z.number(),
  members: z.array(z.object({ name: z.string(), node: z.string().nullable(), row: z.boolean().nullable() })),
  pairs: z.array(
    z.object({
      from: z.string(),
      to: z.string(),
      fromNode: z.string().nullable(),
      toNode: z.string().nullable(),
      protocol: z.enum(["tcp", "udp"]),
      up: z.boolean().nullable(),
      rttMs: z.object({ p50: z.number(), p99: z.number() }).nullable(),
      since: z.string().nullable(),
      why: z.string().nullable(),
    }),
  ),
});

type Matrix = z.infer<typeof matrix>;
type MatrixPair = Matrix["pairs"][number];

/** One page of a Pod's admin port. */
type Ask = (pod: Pod, port: number, path: string) => Promise<string>;

const byApiServer: Ask = ({ name }, port, path) => adminPage(name, port, path);

async function matrixOf(pod: Pod, ask: Ask = byApiServer, port = MESH_ADMIN): Promise<Matrix> {
  return matrix.parse(JSON.parse(await ask(pod, port, "/mesh.json?scope=all")));
}

const pairName = ({ from, to, protocol }: Pick<MatrixPair, "from" | "to" | "protocol">): string =>
  `${from} > ${to} ${protocol}`;

/** Every pair of these Pods, each by both protocols. */
function everyPair(fleet: readonly Pod[]): string[] {
  return fleet
    .flatMap(({ name: from }) =>
      fleet
        .filter(({ name }) => name !== from)
        .flatMap(({ name: to }) =>
          (["tcp", "udp"] as const).map((protocol) => pairName({ from, to, protocol })),
        ),
    )
    .sort();
}

/**
 * Waits until one member's matrix has every pair of these Pods, no others, and all are up.
 * @param first of the Pods is the one that is asked
 */
export async function fullMatrix(
  fleet: readonly Pod[],
  seconds: number,
  ask: Ask = byApiServer,
): Promise<Matrix> {
  return await eventually(`a matrix of ${fleet.length} members, all up`, seconds, async () => {
    const seen = await matrixOf(fleet[0]!, ask);
    expect(seen.pairs.filter(({ up }) => up !== true)).toEqual([]);
    expect(seen.pairs.map(pairName).sort()).toEqual(everyPair(fleet));
    expect(seen.members.filter(({ row }) => row !== true)).toEqual([]);
    return seen;
  });
}

/** Of a prober's metrics, the peers that any series of its mesh names. */
async function peersInMetrics(pod: Pod): Promise<Set<string>> {
  const { text } = new Metrics(await adminPage(pod.name, MESH_ADMIN, "/metrics"));
  return new Set([...text.matchAll(/^echo_mesh_\w+\{.*\bto="([^"]*)"/gm)].map(([, to]) => to!));
}

/** Finds and leaves dev with NodePort, every server ready and on a node of its own. */
export function meshTests(renderer: () => Renderer): void {
  test("mesh: dev plus the mesh is a full matrix, seen from every member and on the page's port", async () => {
    await kubectl([
      "apply",
      "-k",
      await renderer().folder({ path: "overlays/dev-nodeport", components: ["mesh"] }),
    ]);
    await rolledOut(120);
    const fleet = await fleetReady(30);
    const watch = new Stopwatch();
    await fullMatrix(fleet, FULL_SECONDS);
    say(`mesh: the matrix was full ${watch} after the last Pod was ready`);
    for (const pod of fleet) {
      for (const port of [MESH_ADMIN, TCP_ADMIN]) {
        // Each asks DNS by itself, whose answer may be some seconds old: until then it has the Pods before these, too.
        const left = Math.max(1, FULL_SECONDS - watch.seconds);
        const { pairs } = await eventually(`the matrix of ${pod.instance} at ${port}`, left, async () => {
          const seen = await matrixOf(pod, byApiServer, port);
          expect(seen.pairs.map(pairName).sort()).toEqual(everyPair(fleet));
          return seen;
        });
        for (const { from, to, fromNode, toNode, rttMs } of pairs) {
          const nodeOf = (name: string): string | undefined => fleet.find((pod) => pod.name === name)?.node;
          expect([fromNode, toNode]).toEqual([nodeOf(from)!, nodeOf(to)!]);
          expect(rttMs!.p50).toBeGreaterThan(0);
        }
      }
    }
  });

  test("mesh: metrics that Prometheus likes, and no more series than there may be", async () => {
    const promtool = await findPromtool();
    for (const pod of await fleetReady(10)) {
      const text = await adminPage(pod.name, MESH_ADMIN, "/metrics");
      const checked = await run([promtool, "check", "metrics"], { stdin: text });
      expect([checked.stdout, checked.stderr]).toEqual(["", ""]);
      const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
      const peers = 2;
      say(`mesh: ${series} series of ${pod.instance} with ${peers} peers`);
      expect(series).toBeLessThanOrEqual(60 + 70 * peers);
      const up = [...new Metrics(text).samples].filter(([name]) => name.startsWith("echo_mesh_up{"));
      expect(up.map(([, value]) => value)).toEqual(Array(2 * peers).fill(1));
    }
  });

  test("mesh: a node's link is down: one column down and one row unknown, and then well again", linkDown);
  test("mesh: a member that is gone is no member any more, and unknown if it has a name", memberGone);
  test("mesh: what a prober costs", cost);

  test("mesh: without it the fleet is as it was", async () => {
    await kubectlLine("kubectl apply -k k8s/overlays/dev-nodeport");
    await kubectl(["delete", "service", "mesh", "-n", NAMESPACE]);
    await rolledOut(120);
    await fleetReady(30);
  });
}

async function linkDown(): Promise<void> {
  const fleet = await fleetReady(30);
  const victim = fleet[0]!;
  const others = fleet.slice(1);
  expect(others.map(({ node }) => node)).not.toContain(victim.node);
  const { intervalMs } = await fullMatrix(others.concat(victim), 30);
  await using link = await NodeLink.of((await nodeAddresses()).get(victim.node)!);
  const wentMs = Date.now();
  await link.down();
  const seen = await eventually("one column down and one row unknown", 30, async () => {
    const { pairs } = await matrixOf(others[0]!);
    expect(pairs.map(pairName).sort()).toEqual(everyPair(fleet));
    for (const { from, to, protocol, up } of pairs) {
      const expected = from === victim.name ? null : to !== victim.name;
      expect([from, to, protocol, up]).toEqual([from, to, protocol, expected]);
    }
    return pairs;
  });
  const column = seen.filter(({ to }) => to === victim.name);
  const afterMs = column.map(({ since }) => Date.parse(since!) - wentMs);
  say(
    `mesh: a node without its link was down after ${afterMs.map((ms) => (ms / 1000).toFixed(1)).join(", ")} s: ${column[0]!.why}`,
  );
  // Two probes and half an interval for the second to be lost; the machine is given the rest.
  expect(Math.max(...afterMs)).toBeLessThan((DOWN_INTERVALS + 1) * intervalMs);
  await link.up();
  const watch = new Stopwatch();
  await fullMatrix(others.concat(victim), 60);
  say(`mesh: and all was up ${watch} after the link was`);
  await fleetReady(60);
}

async function memberGone(): Promise<void> {
  const fleet = await fleetReady(30);
  const gone = fleet.find(({ instance }) => instance === "server2")!;
  const left = fleet.filter((pod) => pod !== gone);
  await kubectl(["scale", "deployment", "server2", "-n", NAMESPACE, "--replicas=0"]);
  try {
    await kubectl([
      "delete",
      "pod",
      gone.name,
      "-n",
      NAMESPACE,
      "--grace-period=0",
      "--force",
      "--ignore-not-found",
    ]);
    await eventually("a matrix without it", 60, async () => {
      const { members, pairs } = await matrixOf(left[0]!);
      expect(members.map(({ name }) => name)).not.toContain(gone.name);
      expect(pairs.flatMap(({ from, to }) => [from, to])).not.toContain(gone.name);
      // By its name it is missed: neither up nor down.
      const [named] = members.filter(({ name }) => !left.some((pod) => pod.name === name));
      expect(named?.name).toStartWith("server2");
      const missed = pairs.filter(({ to }) => to === named!.name);
      expect(missed.length).toBeGreaterThan(0);
      expect(missed.filter(({ up }) => up !== null)).toEqual([]);
      for (const pod of left) {
        const peers = await peersInMetrics(pod);
        expect(peers).not.toContain(gone.name);
        expect(peers).toContain(named!.name);
      }
      return true;
    });
  } finally {
    await kubectl(["scale", "deployment", "server2", "-n", NAMESPACE, "--replicas=1"]);
  }
  await fullMatrix(await fleetReady(60), 30);
}

const summary = z.object({
  pods: z.array(
    z.object({
      podRef: z.object({ name: z.string(), namespace: z.string() }),
      containers: z.array(
        z.object({ name: z.string(), memory: z.object({ workingSetBytes: z.number() }).optional() }),
      ),
    }),
  ),
});

/** CPU as it says of itself; memory as its limit counts it, which is what the kubelet says. */
async function cost(): Promise<void> {
  const fleet = await fleetReady(10);
  const cpuSeconds = async (pod: Pod): Promise<number> =>
    new Metrics(await adminPage(pod.name, MESH_ADMIN, "/metrics")).get("process_cpu_seconds_total");
  const before = await Promise.all(fleet.map(cpuSeconds));
  const watch = new Stopwatch();
  await Bun.sleep(10_000); // long enough for a mean
  const { seconds } = watch;
  const after = await Promise.all(fleet.map(cpuSeconds));
  const millicores = after.map((each, at) => ((1000 * (each - before[at]!)) / seconds).toFixed(0));
  const mebibytes = await Promise.all(
    fleet.map((pod) => eventually(`the memory of ${pod.name}`, 60, () => memoryOf(pod))),
  );
  say(
    `mesh: with 2 peers a prober takes ${millicores.join("m, ")}m of a core and ${mebibytes.map((each) => each.toFixed(0)).join(", ")} MiB`,
  );
  for (const each of mebibytes) expect(each).toBeLessThan(MEMORY_MAX_MIB);
}

/** MiB of a Pod's prober; null until the kubelet has looked. */
async function memoryOf(pod: Pod): Promise<number | null> {
  const text = await kubectl(["get", "--raw", `/api/v1/nodes/${pod.node}/proxy/stats/summary`]);
  const of = summary
    .parse(JSON.parse(text))
    .pods.find(({ podRef }) => podRef.name === pod.name && podRef.namespace === NAMESPACE);
  const bytes = of?.containers.find(({ name }) => name === "mesh")?.memory?.workingSetBytes;
  return bytes === undefined ? null : bytes / 2 ** 20;
}

/** With the pool beside the three, under the network policy. Expects both there, and the mesh. */
export function meshOfAllTests(): void {
  test("mesh: the pool's members and the fleet's are one mesh, which the network policy lets through", async () => {
    const fleet = (await pods()).filter(({ ready, leaving }) => ready && !leaving);
    expect(fleet.length).toBeGreaterThanOrEqual(6);
    const watch = new Stopwatch();
    // By a member's own shell-less container: what the API server's proxy may not, it may.
    await fullMatrix(fleet, 60, fromClient);
    say(`mesh: ${fleet.length} members under the network policy were full after ${watch}`);
  });
}

/** The client's Pod may ask the fleet, under the network policy too. */
const fromClient: Ask = async ({ ip }, port, path) =>
  await kubectl([
    "exec",
    "echo-client1",
    "-n",
    NAMESPACE,
    "--",
    "wget",
    "-T",
    "5",
    "-q",
    "-O-",
    `http://${ip}:${port}${path}`,
  ]);
