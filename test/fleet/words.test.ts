import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Condition, Group } from "../../src/diagnose/fleet/group.ts";
import { groupText } from "../../src/diagnose/fleet/words.ts";

/** What failing cells have in common, in words. */

const group = (kind: Group["kind"], ...conditions: Condition[]): Group => ({
  kind,
  conditions,
  cells: [0, 1],
});

describe("a sentence", () => {
  const cases: readonly (readonly [says: string, group: Group])[] = [
    ["nothing passes, by any way", group("nothing")],
    ["no UDP passes, by any way", group("nothing", { what: "protocol", name: "udp" })],
    [
      "nothing reaches node2, from anywhere, by any way",
      group("nothing", { what: "to_node", name: "node2" }),
    ],
    [
      "nothing reaches node2 by NodePort, from anywhere",
      group("nothing", { what: "to", name: "node2" }, { what: "way", name: "nodeport" }),
    ],
    [
      "nothing passes from outside to anywhere, by any way",
      group("nothing", { what: "from", name: "outside" }),
    ],
    [
      "no UDP passes from node1 to node3",
      group(
        "nothing",
        { what: "protocol", name: "udp" },
        { what: "from_node", name: "node1" },
        { what: "to_node", name: "node3" },
      ),
    ],
    [
      "no UDP passes between node1 and node3; which of the two ways is dead an echo cannot tell",
      group("nothing", { what: "protocol", name: "udp" }, { what: "between", name: "node1", other: "node3" }),
    ],
    ["nothing passes from one node to another", group("nothing", { what: "across" })],
    ["no large message passes, by any way; small ones do", group("large")],
    [
      "no large TCP message passes between node1 and node3; small ones do",
      group("large", { what: "protocol", name: "tcp" }, { what: "between", name: "node1", other: "node3" }),
    ],
    ["not every echo comes back by the Service", group("some", { what: "way", name: "service" })],
    [
      "not every echo comes back from server2, whoever asks, by any way",
      group("some", { what: "to", name: "server2" }),
    ],
    [
      "nothing passes through a Service of its own (hairpin)",
      group("nothing", { what: "way", name: "self" }),
    ],
    [
      "NetworkPolicy deny forbids it: no TCP passes, by any way",
      group("nothing", { what: "policy", name: "deny" }, { what: "protocol", name: "tcp" }),
    ],
    ["2 ways fail that share nothing with others", { kind: "nothing", conditions: null, cells: [0, 1] }],
    ["1 way fails that shares nothing with others", { kind: "nothing", conditions: null, cells: [0] }],
  ];
  for (const [says, its] of cases) test(says, () => expect(groupText(its)).toBe(says));
});

const name = fc.stringMatching(/^[a-z]{4,8}\d$/);
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ what: fc.constantFrom("policy" as const, "to_node", "from_node", "to", "from"), name }),
  fc.record({ what: fc.constant("protocol" as const), name: fc.constantFrom("tcp" as const, "udp") }),
  fc.record({
    what: fc.constant("way" as const),
    name: fc.constantFrom("pod" as const, "name", "service", "nodeport", "self"),
  }),
  fc.record({ what: fc.constantFrom("across" as const, "within") }),
  fc.record({ what: fc.constant("between" as const), name, other: name }),
);

test("whatever they have in common: one line that names each of it", () => {
  const conditions = fc.uniqueArray(condition, { selector: ({ what }) => what, maxLength: 5 });
  fc.assert(
    fc.property(fc.constantFrom("nothing" as const, "large", "some"), conditions, (kind, all) => {
      const text = groupText({ kind, conditions: all, cells: [1] });
      expect(text).toMatch(/^[^\n]*[^\n.]$/);
      expect(text).not.toMatch(/undefined|null| {2}|,,/);
      for (const each of all) {
        if (each.what === "protocol") expect(text).toContain(each.name.toUpperCase());
        else if ("name" in each && each.what !== "way") expect(text).toContain(each.name);
        if ("other" in each) expect(text).toContain(each.other);
      }
    }),
  );
});
