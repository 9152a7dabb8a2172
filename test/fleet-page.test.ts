import { expect, test } from "bun:test";
import { type FleetMember, namespaceOf, present, subdomainOf } from "../src/admin/fleet.ts";

/** The fleet as DNS has it: what this fleet is, not what it might have been. */

const all = { name: "headless", addresses: ["10.0.0.1", "10.0.0.2"] };
const member = (number: number, ...addresses: string[]): FleetMember => ({
  name: `server${number}.headless`,
  addresses,
});

test("of the three, one that has no address is missing", () => {
  const found = [all, member(1, "10.0.0.1"), member(2, "10.0.0.2"), member(3)];
  expect(present(found)).toEqual(found);
});

test("a server on every node: no names without an address", () => {
  expect(present([all, member(1), member(2), member(3)])).toEqual([all]);
});

test("the headless Service's name is the one that this Pod has its own in", () => {
  const hosts = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "fe00::0\tip6-mcastprefix",
    "10.244.1.2\tserver1.headless-b.echo-two.svc.cluster.local\tserver1",
    "",
  ].join("\n");
  expect(subdomainOf(hosts, "server1")).toBe("headless-b");
  expect(subdomainOf(hosts, "server2")).toBeNull();
  expect(subdomainOf("10.244.1.2\tpool-7b7f866548-rh5rg\n", "pool-7b7f866548-rh5rg")).toBeNull();
  expect(subdomainOf("10.0.0.1 box.example.org box\n", "box")).toBeNull();
  expect(subdomainOf("", "server1")).toBeNull();
});

test("the namespace is the one whose names need no more", () => {
  const conf = (search: string): string => `nameserver 10.96.0.10\nsearch ${search}\noptions ndots:5\n`;
  expect(namespaceOf(conf("echo-two.svc.cluster.local svc.cluster.local cluster.local lan"))).toBe(
    "echo-two",
  );
  expect(namespaceOf(conf("a.svc.k8s.example.org svc.k8s.example.org k8s.example.org"))).toBe("a");
  expect(namespaceOf(conf("a.svc.example.org"))).toBeNull();
  expect(namespaceOf(conf("example.org"))).toBeNull();
  expect(namespaceOf("")).toBeNull();
});
