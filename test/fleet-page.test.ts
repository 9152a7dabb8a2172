import { expect, test } from "bun:test";
import { type FleetMember, present, subdomainOf } from "../src/admin/fleet.ts";
import { renderPage } from "../src/admin/page.ts";

/** The fleet on the page: what this fleet is, not what it might have been. */

const page = (fleet: readonly FleetMember[], own: readonly string[]): string =>
  renderPage({
    identity: [["Name", "server2"]],
    state: "serving",
    addresses: { tcp: [], udp: [] },
    sessions: [],
    fleet,
    own,
  });

const all = { name: "headless", addresses: ["10.0.0.1", "10.0.0.2"] };
const member = (number: number, ...addresses: string[]): FleetMember => ({
  name: `server${number}.headless`,
  addresses,
});

test("of the three, one that has no address is shown as missing", () => {
  const shown = present([all, member(1, "10.0.0.1"), member(2, "10.0.0.2"), member(3)]);
  expect(shown).toHaveLength(4);
  const html = page(shown, ["10.0.0.2"]);
  expect(html).toContain("server3.headless</th><td>no address");
  expect(html.match(/this Pod<\/em>/g)).toHaveLength(1);
});

test("a server on every node: no names without an address, and this Pod among the addresses", () => {
  const shown = present([all, member(1), member(2), member(3)]);
  expect(shown).toEqual([all]);
  const html = page(shown, ["10.0.0.2"]);
  expect(html).not.toContain("no address");
  expect(html).toContain("<code>10.0.0.2</code> <em>this Pod</em>");
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
