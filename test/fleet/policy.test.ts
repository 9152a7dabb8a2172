import { describe, expect, test } from "bun:test";
import { forbiddenBy, type NetworkPolicy, type PolicyPod, selects } from "../../src/diagnose/fleet/policy.ts";

const POD: PolicyPod = {
  labels: { app: "echo", role: "server" },
  address: "10.244.1.2",
  ports: { tcp: 1234, udp: 5678 },
};
const PEER: PolicyPod = { ...POD, address: "10.244.2.2" };
const CLIENT: PolicyPod = { labels: { app: "client" }, address: "10.244.3.9", ports: {} };

function policy(part: Partial<NetworkPolicy>): NetworkPolicy {
  return { name: "one", podSelector: {}, types: ["Ingress"], ingress: [], egress: [], ...part };
}

const asked = (policies: readonly NetworkPolicy[], from = PEER): string | null =>
  forbiddenBy(policies, from, POD, "tcp", 1234);

describe("a policy", () => {
  test("that is not there forbids nothing", () => {
    expect(asked([])).toBeNull();
  });

  test("that selects the one who is asked and lets nobody in is named", () => {
    expect(asked([policy({ name: "deny" })])).toBe("deny");
  });

  test("that selects somebody else forbids nothing", () => {
    expect(asked([policy({ podSelector: { matchLabels: { app: "other" } } })])).toBeNull();
  });

  test("lets in whom it names by labels, and nobody else", () => {
    const only = policy({
      ingress: [{ peers: [{ podSelector: { matchLabels: { app: "client" } } }], ports: [] }],
    });
    expect(asked([only], CLIENT)).toBeNull();
    expect(asked([only])).toBe("one");
  });

  test("lets in by address, but for the exceptions", () => {
    const block = (except: string[]): NetworkPolicy =>
      policy({ ingress: [{ peers: [{ ipBlock: { cidr: "10.244.0.0/16", except } }], ports: [] }] });
    expect(asked([block([])])).toBeNull();
    expect(asked([block(["10.244.2.0/24"])])).toBe("one");
    expect(asked([block([])], { ...PEER, address: "192.0.2.1" })).toBe("one");
    // Not accused where it is not known: this machine, whose address the cluster may see as another one.
    expect(asked([block([])], { labels: null, address: "", ports: {} })).toBeNull();
  });

  test("lets in by protocol and port: number, range, name of a container's port", () => {
    const on = (...ports: object[]): NetworkPolicy => policy({ ingress: [{ peers: [], ports }] });
    expect(asked([on({ port: 1234 })])).toBeNull();
    expect(asked([on({ port: "tcp" })])).toBeNull();
    expect(asked([on({ port: 1000, endPort: 2000 })])).toBeNull();
    expect(asked([on({})])).toBeNull();
    expect(asked([on({ port: 1234, protocol: "UDP" })])).toBe("one");
    expect(asked([on({ port: 80 }, { port: "udp" })])).toBe("one");
  });

  test("that forbids is undone by another one that lets through", () => {
    expect(
      asked([policy({ name: "deny" }), policy({ name: "allow", ingress: [{ peers: [], ports: [] }] })]),
    ).toBeNull();
  });

  test("of egress is about the one who asks", () => {
    const closed = policy({
      name: "closed",
      types: ["Egress"],
      podSelector: { matchLabels: { app: "client" } },
    });
    expect(asked([closed], CLIENT)).toBe("closed");
    expect(asked([closed])).toBeNull();
  });

  test("of other namespaces is not known, so a selector of namespaces is no reason to accuse", () => {
    const other = policy({
      ingress: [{ peers: [{ namespaceSelector: { matchLabels: { a: "b" } } }], ports: [] }],
    });
    expect(asked([other])).toBeNull();
  });
});

test("a selector's expressions", () => {
  const by = (operator: string, values?: string[]): boolean =>
    selects({ matchExpressions: [{ key: "app", operator, values }] }, { app: "echo" });
  expect(by("In", ["echo", "x"])).toBe(true);
  expect(by("In", ["x"])).toBe(false);
  expect(by("NotIn", ["x"])).toBe(true);
  expect(by("NotIn", ["echo"])).toBe(false);
  expect(by("Exists")).toBe(true);
  expect(by("DoesNotExist")).toBe(false);
  expect(selects({ matchExpressions: [{ key: "none", operator: "NotIn", values: ["x"] }] }, {})).toBe(true);
});
