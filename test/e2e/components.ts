import { expect, test } from "bun:test";
import { z } from "zod";
import type { Renderer } from "../k8s/render.ts";
import type { Before } from "./commands.ts";
import { dualStackTests } from "./dual-stack.ts";
import {
  adminPage,
  inClient,
  kubectl,
  kubectlLine,
  NAMESPACE,
  nodeAddresses,
  pods,
  rolledOut,
} from "./kubectl.ts";
import { fullMatrix, meshOfAllTests } from "./mesh.ts";
import { addressOf, tcpEcho } from "./net.ts";
import { networkPolicyTests } from "./network-policy.ts";
import { eventually, Stopwatch, say } from "./shell.ts";

const fleetFacts = z.object({
  fleet: z.array(
    z.object({ addresses: z.array(z.string()), state: z.string().nullable(), self: z.boolean() }),
  ),
});

const all = (selector: string): string[] => ["get", selector, "-n", NAMESPACE, "--no-headers"];

/** The optional parts on a running fleet, and the end of it. */
export function componentTests(renderer: () => Renderer, before: Before): void {
  test("pool, mesh, monitoring, network policy, proxy protocol, dual stack and load balancer, all at once", async () => {
    const components = [
      "pool",
      "mesh",
      "monitoring",
      "network-policy",
      "proxy-protocol",
      "dual-stack",
      "loadbalancer",
      "banner-fields",
    ];
    await kubectl(["apply", "-k", await renderer().folder({ path: "overlays/dev-nodeport", components })]);
    await rolledOut(120);
    const pool = await pods("app.kubernetes.io/component=pool");
    expect(pool.filter(({ ready }) => ready)).toHaveLength(3);
    const answer = await inClient("printf many | nc -w1 pool 1234");
    expect(answer).toEndWith("\n\nmany");
    expect(pool.map(({ ip }) => ip)).toContain(addressOf(/^Server: (\S+)$/m.exec(answer)![1]!));
    expect(await kubectl(all("servicemonitors,prometheusrules"))).toContain("echo-server");

    const [host] = [...(await nodeAddresses()).values()];
    const through = await tcpEcho(
      { host: host!, port: 31234 },
      "hello",
      "PROXY TCP4 203.0.113.7 192.0.2.1 4711 1234\r\n",
    );
    expect(through.client).toBe("203.0.113.7:4711");
    expect(addressOf(through.via!)).toBe(through.from);
  });

  dualStackTests();
  networkPolicyTests();
  meshOfAllTests();

  test("the autoscaler of the pool reads the CPU of both containers", async () => {
    const path =
      '{.status.conditions[?(@.type=="ScalingActive")].status} {range .status.currentMetrics[*]}{.containerResource.container} {end}';
    const read = await eventually("an autoscaler that has its metrics", 90, async () => {
      const text = await kubectl(["get", "hpa", "pool", "-n", NAMESPACE, "-o", `jsonpath=${path}`]);
      return text.startsWith("True") ? text.trim().split(" ").slice(1) : null;
    });
    expect(read.sort()).toEqual(["tcp", "udp"]);
  });

  test("the autoscaler grows the pool when that CPU is above its target", async () => {
    // A target that even an idle server is above stands in for load that this machine may not have to give.
    const lower = [0, 1].map((metric) => ({
      op: "replace",
      path: `/spec/metrics/${metric}/containerResource/target/averageValue`,
      value: "1m",
    }));
    await kubectl(["patch", "hpa", "pool", "-n", NAMESPACE, "--type=json", "-p", JSON.stringify(lower)]);
    const watch = new Stopwatch();
    const replicas = await eventually("a pool of more than three", 90, async () => {
      const now = Number(
        await kubectl(["get", "deployment", "pool", "-n", NAMESPACE, "-o", "jsonpath={.spec.replicas}"]),
      );
      return now > 3 ? now : null;
    });
    say(`the pool grew from 3 to ${replicas} Pods after ${watch}`);
  });

  test("kubectl delete -k leaves nothing behind", async () => {
    await kubectlLine("kubectl delete -k k8s/overlays/dev --ignore-not-found");
    await before.isBack();
  });

  test("every-node: a server on each node in place of the three", async () => {
    const overlay = await renderer().folder({ path: "overlays/dev", components: ["mesh", "every-node"] });
    await kubectl(["apply", "-k", overlay]);
    await rolledOut(120);
    const found = await pods();
    expect(found.map(({ node }) => node).sort()).toEqual([...(await nodeAddresses()).keys()].sort());
    const { name, ip } = found[0]!;
    expect(await inClient(`printf here | nc -w1 ${ip} 1234`)).toEndWith("\n\nhere");
    say(`every-node: ${found.length} servers on ${found.length} nodes, ${name} among them`);
    const facts = fleetFacts.parse(JSON.parse(await adminPage(name, 8080, "/page.json")));
    expect(facts.fleet.filter(({ self }) => self).map(({ addresses }) => addresses)).toEqual([[ip]]);
    expect(facts.fleet.flatMap(({ addresses }) => addresses).sort()).toEqual(
      found.map((pod) => pod.ip).sort(),
    );
    expect(facts.fleet.map(({ state }) => state)).toEqual(found.map(() => "serving"));
    const { members } = await fullMatrix(found, 30);
    expect(members.map((member) => member.name).sort()).toEqual(found.map((pod) => pod.name).sort());
    await kubectl(["delete", "-k", overlay]);
    await before.isBack();
  });
}
