import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { z } from "zod";
import { REPORT } from "../check/schema.ts";
import { PROJECT } from "../k8s/render.ts";
import { fleetReady, kubectl, NAMESPACE, nodeAddresses, type Pod } from "./kubectl.ts";
import { run, say } from "./shell.ts";

type Result = z.infer<typeof REPORT>["results"][number];

/** Somebody else's namespace, where Pods keep the restricted standard. */
const STRANGER = "echo-stranger";

/** A Pod that has neither shell nor tools, for a debug container to stand beside. */
const BYSTANDER = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "bystander", namespace: STRANGER },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "bystander",
        image: "echo-server:dev",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
};

/** `echo-server check` in the image that runs, along every way to the fleet. Expects the fleet with NodePort. */
export function checkTests(): void {
  insideTests();
  describe("by NodePort", nodePortTests);
  describe("from a namespace of somebody else", strangerTests);
}

function insideTests(): void {
  test("check, from a server's Pod: each member by the headless name, itself too, and nothing is translated", async () => {
    const fleet = await fleetReady(10);
    const results = await wellFromPod(["headless"]);
    expect(results.map(({ protocol, address }) => `${protocol} ${address}`).sort()).toEqual(
      ["tcp", "udp"].flatMap((protocol) => fleet.map(({ ip }) => `${protocol} ${ip}`)).sort(),
    );
    for (const result of results) {
      expect(serversOf(result)).toEqual([result.address!]);
      expect(result.servers![0]!.flows).toBe(10);
      expect(result.source).toMatchObject({ addressTranslated: false, portTranslated: false });
      expect(result.destination.translated).toBe(false);
    }
  });

  test("check, from a server's Pod: the ClusterIP is answered by members of the fleet, and is translated to them", async () => {
    const addresses = (await fleetReady(10)).map(({ ip }) => ip);
    const results = await wellFromPod(["echo-server", "--flows", "20"]);
    expect(results).toHaveLength(2);
    for (const result of results) {
      expect(addresses).toEqual(expect.arrayContaining(serversOf(result)));
      expect(serversOf(result).length).toBeGreaterThan(1); // 20 flows to one of three: once in a billion
      expect(result.destination.translated).toBe(true);
      expect(result.notes.map(({ code }) => code)).toContain("destination_translated");
    }
  });

  // What a Pod sends to another node's NodePort under Local is not masqueraded there, so its answers may take a way of
  // their own: a Pod asks its own node's, and each of them under Cluster.
  test("check, from a server's Pod: its own node's NodePort under Local leads to members", async () => {
    const fleet = await fleetReady(10);
    const { node } = fleet.find(({ instance }) => instance === "server1")!;
    await leadToMembers(fleet, nodePorts((await nodeAddresses()).get(node)!));
  });

  test("check --mtu, in the image and under the restricted standard: sizes pass each way", async () => {
    const [, other] = await fleetReady(10);
    const [result] = await wellFromPod([`udp://${other!.ip}`, "--mtu"]);
    expect(result!.hops).toEqual({ there: null, back: expect.any(Number) });
    const { there, back, largestThere, largestBack, holesThere, holesBack } = result!.mtu!;
    expect(back).toBe(there);
    expect(there).toBeGreaterThanOrEqual(1280);
    expect([largestThere, largestBack, holesThere, holesBack]).toEqual([65_507, 65_507, [], []]);
  });
}

async function leadToMembers(fleet: readonly Pod[], targets: readonly string[]): Promise<readonly Result[]> {
  const results = await wellFromPod(targets);
  expect(results).toHaveLength(targets.length);
  for (const result of results) {
    expect(fleet.map(({ ip }) => ip)).toEqual(expect.arrayContaining(serversOf(result)));
    expect(result.destination.translated).toBe(true);
  }
  return results;
}

function nodePortTests(): void {
  afterAll(() => trafficPolicy("Local"));

  test("check, from outside, of a NodePort under Local: the node's own server, which sees who asks", async () => {
    const fleet = await fleetReady(10);
    for (const [node, host] of await nodeAddresses()) {
      const server = fleet.find((pod) => pod.node === node);
      if (server === undefined) continue; // Local: a node without a server does not answer
      for (const result of await wellFromHere(nodePorts(host))) {
        expect(serversOf(result)).toEqual([server.ip]);
        expect(result.source).toMatchObject({ addressTranslated: false, seen: [result.source.own!] });
        expect(result.destination.translated).toBe(true);
      }
    }
  });

  test("check, from outside, of a NodePort under Cluster: any server, and those of other nodes see the node", async () => {
    const fleet = await fleetReady(10);
    await trafficPolicy("Cluster");
    const [host] = [...(await nodeAddresses()).values()];
    const results = await wellFromHere([...nodePorts(host!), "--flows", "20"]);
    for (const result of results) {
      expect(serversOf(result).length).toBeGreaterThan(1);
      expect(fleet.map(({ ip }: Pod) => ip)).toEqual(expect.arrayContaining(serversOf(result)));
      expect(result.source.addressTranslated).toBe(true);
      expect(result.notes.map(({ code }) => code)).toContain("source_translated");
    }
  });

  test("check, from a server's Pod: each node's NodePort under Cluster leads to members, which see the node", async () => {
    const fleet = await fleetReady(10);
    const targets = [...(await nodeAddresses()).values()].flatMap(nodePorts);
    for (const { source } of await leadToMembers(fleet, targets)) {
      expect(source.addressTranslated).toBe(true);
    }
  });
}

/** The lines of docs/diagnosis.md, as they stand there but for the namespace. */
function strangerTests(): void {
  beforeAll(async () => {
    await kubectl(["create", "namespace", STRANGER]);
    await kubectl(["label", "namespace", STRANGER, "pod-security.kubernetes.io/enforce=restricted"]);
    await kubectl(["apply", "-f", "-"], { stdin: JSON.stringify(BYSTANDER) });
    await kubectl(["wait", "-n", STRANGER, "--for=condition=Ready", "pod/bystander", "--timeout=60s"]);
  });

  afterAll(async () => {
    await kubectl(["delete", "namespace", STRANGER, "--ignore-not-found"]);
  });

  test("check by kubectl run, from another namespace under the restricted standard", async () => {
    const { stdout } = await documented("kubectl run ");
    expect(stdout).toContain("all well: 2 checks");
  });

  test("check by kubectl debug, beside a Pod that has no tools", async () => {
    const { stdout } = await documented("kubectl debug ", ["POD", "bystander"]);
    expect(stdout).toContain("all well: 2 checks");
  });
}

/** Runs the line of the documentation that begins so, in the stranger's namespace. @throws unless it exits with 0 */
async function documented(start: string, [word, by] = ["POD", "POD"]): Promise<{ stdout: string }> {
  const text = await Bun.file(join(PROJECT, "docs/diagnosis.md")).text();
  const line = text.split("\n").find((each) => each.startsWith(`$ ${start}`));
  if (line === undefined) throw new Error(`docs/diagnosis.md has no line that begins with ${start}`);
  const here = line.slice(2).replace("-n default", `-n ${STRANGER}`).replace(` ${word} `, ` ${by} `);
  return await run(["sh", "-c", here], { cwd: PROJECT });
}

/** Both protocols of a node's address. */
function nodePorts(host: string): string[] {
  return [`tcp://${host}:31234`, `udp://${host}:31678`];
}

async function wellFromPod(args: readonly string[]): Promise<readonly Result[]> {
  const command = ["exec", "deploy/server1", "-n", NAMESPACE, "-c", "tcp", "--", "echo-server", "check"];
  return wellOf(await kubectl([...command, ...args, "--json"]));
}

/** From this machine, which is none of the cluster's. */
async function wellFromHere(args: readonly string[]): Promise<readonly Result[]> {
  const command = [process.execPath, join(PROJECT, "src/main.ts"), "check", ...args, "--json"];
  return wellOf((await run(command)).stdout);
}

/** What is told of a check that exited with 0. */
function wellOf(json: string): readonly Result[] {
  const report = REPORT.parse(JSON.parse(json));
  say(`check: ${report.results.length} results in ${report.seconds.toFixed(1)} s`);
  for (const result of report.results) {
    expect(result).toMatchObject({ ok: true, lost: 0, problems: [] });
    expect(result.received).toBe(result.sent);
    expect(result.flowsAnswered).toBe(result.flows);
  }
  return report.results;
}

/** The addresses that answered, each once, without their ports. */
function serversOf({ servers }: Result): string[] {
  return (servers ?? []).map(({ server }) => server!.replace(/:\d+$/, "")).sort();
}

async function trafficPolicy(policy: "Local" | "Cluster"): Promise<void> {
  const patch = JSON.stringify({ spec: { externalTrafficPolicy: policy } });
  await kubectl(["patch", "service", "echo-server-nodeport", "-n", NAMESPACE, "-p", patch]);
}
