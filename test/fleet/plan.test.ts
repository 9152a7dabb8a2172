import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type CellKey, onlyThose } from "../../src/diagnose/fleet/again.ts";
import { type Fleet, fleetOf } from "../../src/diagnose/fleet/members.ts";
import { readPods, readPolicies, readServices } from "../../src/diagnose/fleet/objects.ts";
import { familyOfFleet, OUTSIDE, type PlannedCell, planCells } from "../../src/diagnose/fleet/plan.ts";
import { parseTarget } from "../../src/diagnose/targets.ts";
import { listOf, ownService, type PodShape, podObject, serviceObject } from "./objects.ts";

/** The objects of a namespace as a fleet, and the questions that it makes. */

function fleet(
  pods: readonly PodShape[],
  services: readonly object[] = [],
  policies: readonly object[] | null = [],
): Fleet {
  return fleetOf(
    "echo-server",
    readPods(listOf(pods.map(podObject))),
    readServices(listOf(services)),
    policies === null ? null : readPolicies(listOf(policies)),
  );
}

const server = (number: number, more: Partial<PodShape> = {}): PodShape => ({
  name: `server${number}-abc`,
  node: `node${number}`,
  instance: `server${number}`,
  ip: `10.244.${number}.2`,
  ip6: `fd44::${number}`,
  hostIp: `10.89.0.1${number}`,
  ...more,
});

const THREE = [server(1), server(2), server(3)];
const SERVICE = serviceObject({ name: "echo-server" });
const HEADLESS = serviceObject({ name: "headless", ip: "None" });
const nodePort = (local = true): object =>
  serviceObject({ name: "nodes", type: "NodePort", ip: "10.96.0.8", local, nodePorts: [31234, 31678] });

const plan = (found: Fleet, outside = true): PlannedCell[] => planCells(found, { family: 4, outside });
const of = (cells: readonly PlannedCell[], want: Partial<PlannedCell>): PlannedCell[] =>
  cells.filter((cell) =>
    Object.entries(want).every(([key, value]) => cell[key as keyof PlannedCell] === value),
  );
const targets = (cells: readonly PlannedCell[]): (string | null)[] => cells.map(({ target }) => target);

describe("members", () => {
  test("are Pods that stay, by their own names, or the Pod's where two have the same", () => {
    const found = fleet([
      server(1),
      server(2, { leaving: true }),
      server(3),
      server(3, { name: "server3-def" }),
      { name: "pool-x", ip: "10.244.1.9" },
      server(4, { phase: "Succeeded" }),
    ]);
    expect(found.members.map(({ name, dnsName }) => [name, dnsName])).toEqual([
      ["pool-x", null],
      ["server1", "server1.headless"],
      ["server3-abc", null],
      ["server3-def", null],
    ]);
    expect(found.leaving).toEqual(["server2-abc"]);
  });

  test("stand in the order of their numbers", () => {
    const found = fleet([server(10), server(2), server(1)]);
    expect(found.members.map(({ name }) => name)).toEqual(["server1", "server2", "server10"]);
  });
});

describe("ways", () => {
  test("by Pod address and by name: each other member", () => {
    const cells = plan(fleet(THREE, [SERVICE, HEADLESS]));
    expect(targets(of(cells, { from: "server1", way: "pod" }))).toEqual([
      "tcp://10.244.2.2:1234",
      "udp://10.244.2.2:5678",
      "tcp://10.244.3.2:1234",
      "udp://10.244.3.2:5678",
    ]);
    expect(targets(of(cells, { from: "server3", way: "name", protocol: "udp" }))).toEqual([
      "udp://server1.headless:5678",
      "udp://server2.headless:5678",
    ]);
  });

  test("by a Service: those over several members, not the headless one, nor what has other ports", () => {
    const metrics = serviceObject({ name: "metrics", tcpPort: 8080 }) as {
      spec: { ports: { targetPort: string }[] };
    };
    for (const port of metrics.spec.ports) port.targetPort = "tcp-admin";
    const cells = plan(fleet(THREE, [SERVICE, HEADLESS, metrics, ownService("server2", "10.96.0.22")]));
    const service = of(cells, { from: "server1", way: "service" });
    expect(service.map(({ to, toNode, target }) => [to, toNode, target])).toEqual([
      ["echo-server", null, "tcp://10.96.0.7:1234"],
      ["echo-server", null, "udp://10.96.0.7:5678"],
    ]);
    expect(targets(of(cells, { way: "self", to: "server2", from: "server2" }))).toEqual([
      "tcp://10.96.0.22:1234",
      "udp://10.96.0.22:5678",
    ]);
    const [without] = of(cells, { way: "self", from: "server1" });
    expect([without!.target, without!.why]).toEqual([
      null,
      "it has no Service of its own (k8s/components/hairpin makes one)",
    ]);
  });

  test("by a Service whose one member is gone, or is one of an every-node fleet: not at all", () => {
    const cells = plan(
      fleet([server(1), { name: "pool-x", ip: "10.244.1.9" }], [ownService("server2", "10.96.0.22")]),
    );
    expect(of(cells, { way: "service" })).toEqual([]);
    expect(of(cells, { way: "self" }).every(({ target }) => target === null)).toBe(true);
  });

  test("by NodePort: each node that has a member; with Local a Pod asks its own node's alone", () => {
    const local = plan(fleet(THREE, [nodePort()]));
    expect(targets(of(local, { from: OUTSIDE, way: "nodeport", protocol: "tcp" }))).toEqual([
      "tcp://10.89.0.11:31234",
      "tcp://10.89.0.12:31234",
      "tcp://10.89.0.13:31234",
    ]);
    const own = of(local, { way: "nodeport", protocol: "tcp" }).filter(
      (cell) => cell.from !== OUTSIDE && cell.target,
    );
    expect(own.map(({ from, to }) => [from, to])).toEqual([
      ["server1", "node1"],
      ["server2", "node2"],
      ["server3", "node3"],
    ]);
    const cluster = plan(fleet(THREE, [nodePort(false)]));
    expect(of(cluster, { way: "nodeport" }).every(({ target }) => target !== null)).toBe(true);
  });

  test("a node without a server under Local is not asked, by design", () => {
    const selector = { "app.kubernetes.io/component": "server" };
    const service = serviceObject({
      name: "nodes",
      type: "NodePort",
      local: true,
      nodePorts: [1, 2],
      selector,
    });
    const cells = plan(fleet([server(1), { name: "pool-x", node: "node2", ip: "10.244.2.9" }], [service]));
    const [bare] = of(cells, { from: OUTSIDE, to: "node2" });
    expect(bare!.why).toBe("no server of Service nodes is on it (externalTrafficPolicy: Local)");
  });

  test("from outside NodePorts alone", () => {
    const cells = of(plan(fleet(THREE, [SERVICE, nodePort()])), { from: OUTSIDE });
    for (const { way, target, why } of cells) {
      expect(target !== null).toBe(way === "nodeport");
      expect(why).toBe(way === "nodeport" ? null : "only NodePorts are reachable from outside the cluster");
    }
    expect(of(plan(fleet(THREE), false), { from: OUTSIDE })).toEqual([]);
  });

  test("by IPv6, in brackets; a Service that has none is not asked", () => {
    const cells = planCells(fleet(THREE, [SERVICE]), { family: 6, outside: false });
    expect(of(cells, { from: "server1", way: "pod" })[0]!.target).toBe("tcp://[fd44::2]:1234");
    expect(of(cells, { way: "service" })[0]!.why).toBe("it has no IPv6 address");
    expect(familyOfFleet(fleet(THREE))).toBe(4);
    expect(familyOfFleet(fleet([server(1, { ip: "fd44::1" })]))).toBe(6);
    expect(familyOfFleet(fleet([]))).toBe(4);
  });
});

describe("policies", () => {
  const deny = { metadata: { name: "deny" }, spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] } };
  const LABEL = { matchLabels: { "app.kubernetes.io/name": "echo-server" } };
  const members = {
    metadata: { name: "members" },
    spec: {
      podSelector: LABEL,
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ ports: [{ port: "tcp" }, { port: "udp", protocol: "UDP" }] }],
      egress: [{ to: [{ podSelector: LABEL }], ports: [{ port: "tcp" }, { port: "udp", protocol: "UDP" }] }],
    },
  };
  const services = [SERVICE, nodePort(), ownService("server1", "10.96.0.21")];

  test("that deny all forbid every way, from outside too", () => {
    const cells = plan(fleet(THREE, services, [deny])).filter(({ target }) => target !== null);
    expect(new Set(cells.map(({ policy }) => policy))).toEqual(new Set(["deny"]));
  });

  test("that let members ask each other forbid none of the ways that are asked", () => {
    const cells = plan(fleet(THREE, services, [deny, members])).filter(({ target }) => target !== null);
    expect(cells.filter(({ policy }) => policy !== null)).toEqual([]);
  });

  test("that let out to Pods alone forbid another node's port", () => {
    const cells = plan(fleet(THREE, [nodePort(false)], [deny, members]));
    const forbidden = of(cells, { way: "nodeport", protocol: "udp" }).filter(({ policy }) => policy !== null);
    expect(forbidden.map(({ from, to }) => `${from} ${to}`)).toEqual([
      "server1 node2",
      "server1 node3",
      "server2 node1",
      "server2 node3",
      "server3 node1",
      "server3 node2",
    ]);
  });

  test("about one member forbid the ways to it, and no Service that has others", () => {
    const one = {
      metadata: { name: "one" },
      spec: { podSelector: { matchLabels: { "app.kubernetes.io/instance": "server1" } } },
    };
    const cells = plan(fleet(THREE, services, [one])).filter(
      ({ target, policy }) => target && policy === "one",
    );
    expect([...new Set(cells.map(({ to, way }) => `${to} ${way}`))].sort()).toEqual([
      "node1 nodeport",
      "server1 name",
      "server1 pod",
      "server1 self",
    ]);
    expect(of(cells, { way: "nodeport" }).map(({ from }) => from)).toEqual([OUTSIDE, OUTSIDE]);
  });

  test("that may not be read are not known", () => {
    expect(plan(fleet(THREE, services, null)).filter(({ policy }) => policy !== null)).toEqual([]);
  });
});

const shapes: fc.Arbitrary<PodShape[]> = fc
  .uniqueArray(
    fc.record({
      number: fc.integer({ min: 1, max: 200 }),
      node: fc.integer({ min: 1, max: 4 }),
      pooled: fc.boolean(),
      pending: fc.boolean(),
      leaving: fc.boolean(),
    }),
    { selector: ({ number }) => number, maxLength: 12 },
  )
  .map((all) =>
    all.map(({ number, node, pooled, pending, leaving }) => ({
      ...server(number, { node: `node${node}`, hostIp: `10.89.0.${node}`, leaving }),
      ...(pooled ? { instance: null, name: `pool-${number}` } : {}),
      ...(pending ? { phase: "Pending", ip: undefined, ip6: undefined } : {}),
    })),
  );

test("whatever the fleet: each question once, with a target that check reads or the reason why not", () => {
  fc.assert(
    fc.property(shapes, fc.boolean(), fc.boolean(), (pods, local, outside) => {
      const found = fleet(pods, [SERVICE, HEADLESS, nodePort(local), ownService("server1", "10.96.0.21")]);
      const cells = plan(found, outside);
      const keys = cells.map(({ from, to, way, protocol }) => `${from} ${to} ${way} ${protocol}`);
      expect(new Set(keys).size).toBe(keys.length);
      for (const { target, why, protocol, from, to, way } of cells) {
        expect((target === null) !== (why === null)).toBe(true);
        if (target !== null) expect(parseTarget(target).protocols).toEqual([protocol]);
        expect(from === to).toBe(way === "self" && from !== OUTSIDE);
      }
      const n = found.members.length;
      expect(cells.filter(({ way, from }) => way === "pod" && from !== OUTSIDE)).toHaveLength(
        n * (n - 1) * 2,
      );
    }),
    { numRuns: 100 },
  );
});

test("what failed before is asked again, in the plan's order, and what is gone is told of", () => {
  const cells = plan(fleet(THREE, [SERVICE, nodePort()]));
  fc.assert(
    fc.property(fc.subarray(cells), fc.nat(3), (failed, gone) => {
      const missing: CellKey[] = Array.from({ length: gone }, (_, at) => ({
        from: `old${at}`,
        to: "server1",
        way: "pod",
        protocol: "tcp",
      }));
      const again = onlyThose(cells, [...missing, ...failed]);
      expect(again.slice(0, failed.length)).toEqual(failed);
      const rest = again.slice(failed.length);
      expect(rest.map(({ from }) => from)).toEqual(missing.map(({ from }) => from));
      for (const { target, why } of rest)
        expect([target, why]).toEqual([null, expect.stringContaining("failed before")]);
    }),
  );
});

test("a node's address is that of any of its members: a Pod that is not started yet has none", () => {
  const waits = { ...server(1, { name: "a", instance: null, ip: undefined, phase: "Running" }), hostIp: "" };
  const cells = plan(fleet([waits, server(1), server(2)], [SERVICE, nodePort()]));
  const [cell] = of(cells, { from: OUTSIDE, way: "nodeport", to: "node1", protocol: "tcp" });
  expect(cell!.target).toBe("tcp://10.89.0.11:31234");
});
