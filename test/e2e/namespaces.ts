import { expect, test } from "bun:test";
import { type Overlay, optionalOn, type Renderer } from "../k8s/render.ts";
import type { Before } from "./commands.ts";
import { execIn, fleetReady, kubectl, nodeAddresses, type Pod, pods, rolledOut } from "./kubectl.ts";
import { addressOf, parseBanner, tcpEcho } from "./net.ts";
import { eventually, Stopwatch, say } from "./shell.ts";

const [ONE, TWO] = ["echo-server", "echo-two"] as const;

/** Two fleets side by side, in two namespaces. Leaves nothing behind. */
export function namespaceTests(renderer: () => Renderer, before: Before): void {
  test("two fleets with every component: one is deleted, the other rolls, drains and replaces a Pod as before", async () => {
    const watch = new Stopwatch();
    const folders = new Map<string, string>();
    try {
      for (const [at, namespace] of [ONE, TWO].entries()) {
        const settings = at === 0 ? [] : ["TCP_NODE_PORT=32234", "UDP_NODE_PORT=32678"];
        const folder = await renderer().folder(everything(namespace, settings));
        folders.set(namespace, folder);
        await kubectl(["apply", "-k", folder]);
      }
      await Promise.all([ONE, TWO].map((namespace) => rolledOut(120, namespace)));
      const [first, second] = await Promise.all([ONE, TWO].map((namespace) => fleetReady(30, namespace)));
      await answersInside(ONE, first!);
      await answersInside(TWO, second!);
      say(`two fleets with every component were ready after ${watch}`);
      await kubectl(["delete", "-k", folders.get(TWO)!]);
      folders.delete(TWO);
      await goesOn(first!);
    } finally {
      for (const folder of folders.values()) await kubectl(["delete", "-k", folder, "--ignore-not-found"]);
    }
    await before.isBack();
  });
}

/** `every-node` has no three servers, and is tested by itself. */
function everything(namespace: string, settings: readonly string[]): Overlay {
  const components = optionalOn("overlays/dev").filter((name) => name !== "every-node");
  return { path: "overlays/dev", components, namespace, settings };
}

/** By each name of its own namespace, its own server. */
async function answersInside(namespace: string, fleet: readonly Pod[]): Promise<void> {
  for (const { instance, ip } of fleet) {
    await eventually(`${instance} of ${namespace}`, 30, async () => {
      const text = await execIn(namespace, "echo-client1", `printf hello | nc -w1 ${instance}.headless 1234`);
      expect(addressOf(parseBanner(text)!.server)).toBe(ip);
      return text.endsWith("\n\nhello") ? true : null;
    });
  }
}

/** What a fleet can that lacks nothing: a rolling change, a drain, a Pod for one that was deleted. */
async function goesOn(fleet: readonly Pod[]): Promise<void> {
  await kubectl(["rollout", "restart", "deployment", "-n", ONE]);
  await rolledOut(120, ONE);
  const rolled = await fleetReady(60, ONE);
  expect(rolled.map(({ name }) => name).filter((name) => fleet.some((pod) => pod.name === name))).toEqual([]);
  const client = (await pods("app.kubernetes.io/name=echo-client", ONE))[0]!;
  const { node } = rolled.find((pod) => pod.node !== client.node)!;
  try {
    await kubectl(["drain", node, "--ignore-daemonsets", "--timeout=120s"]);
    expect((await fleetReady(60, ONE)).map((pod) => pod.node)).not.toContain(node);
  } finally {
    await kubectl(["uncordon", node]);
  }
  const victim = (await fleetReady(60, ONE))[0]!;
  await kubectl(["delete", "pod", victim.name, "-n", ONE]);
  const after = await fleetReady(60, ONE);
  expect(after.map(({ name }) => name)).not.toContain(victim.name);
  await answersInside(ONE, after);
  const reached = after[0]!;
  const host = (await nodeAddresses()).get(reached.node)!;
  await eventually("an answer by NodePort", 15, () => tcpEcho({ host, port: 31234 }, "still there?"));
}
