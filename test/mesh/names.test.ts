import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nameMembers } from "../../src/diagnose/mesh/names.ts";
import { rosterOf, SELF } from "./fixtures.ts";

/** What members are called: each by a name that is its alone. */

const [one, two, three] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const roster = rosterOf({
  addresses: [one, two, three],
  named: [
    { name: "server2.headless", address: two },
    { name: "server9.headless", address: null },
  ],
});

const namesOf = (told: Record<string, string>, of = roster): Record<string, string> => {
  const tellers = new Map(Object.entries(told).map(([address, name]) => [address, { name, node: null }]));
  const { byAddress } = nameMembers(of, SELF, tellers);
  return Object.fromEntries([...byAddress].map(([address, { name }]) => [address, name]));
};

describe("a member is called", () => {
  test("as its prober says, else by its name in DNS, else by its address", () => {
    expect(namesOf({})).toEqual({ [one]: SELF.name, [two]: "server2.headless", [three]: three });
    expect(namesOf({ [two]: "pod-2" })).toMatchObject({ [two]: "pod-2", [three]: three });
  });

  test("apart from the one whose name it is, or who claimed it first", () => {
    expect(namesOf({ [two]: "pod-x", [three]: "pod-x" })).toMatchObject({
      [two]: "pod-x",
      [three]: `pod-x@${three}`,
    });
    expect(namesOf({ [three]: SELF.name })).toMatchObject({
      [one]: SELF.name,
      [three]: `${SELF.name}@${three}`,
    });
    expect(namesOf({ [two]: "pod-2", [three]: "server9.headless" })).toMatchObject({
      [three]: `server9.headless@${three}`,
    });
    expect(namesOf({ [two]: "pod-2", [three]: "server2.headless" })).toMatchObject({
      [three]: `server2.headless@${three}`,
    });
    expect(namesOf({ [two]: three })).toMatchObject({
      [two]: `${three}@${two}`,
      [three]: three,
    });
  });

  test("no two alike, whatever they tell of themselves", () => {
    const name = fc.constantFrom(SELF.name, "pod-2", "server2.headless", "server9.headless", one, two, three);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(one, two, three), name), fc.boolean(), (told, isKnown) => {
        const tellers = new Map(
          Object.entries(told).map(([address, name]) => [address, { name, node: null }]),
        );
        const of = isKnown ? roster : { ...roster, own: null };
        const { byAddress, missing } = nameMembers(of, SELF, tellers);
        const all = [...byAddress.values(), ...missing].map(({ name }) => name);
        if (!isKnown) all.push(SELF.name);
        expect(new Set(all).size).toBe(all.length);
      }),
    );
  });
});

describe("members that must be there", () => {
  const missing = (named: typeof roster.named): string[] =>
    nameMembers({ ...roster, named }, SELF, new Map()).missing.map(({ name, why }) => `${name}: ${why}`);

  test("are missing without an address, or with one that the name of all has not", () => {
    expect(missing([...roster.named, { name: "server3.headless", address: "10.0.0.99" }])).toEqual([
      "server9.headless: its name has no address",
      "server3.headless: its name has 10.0.0.99, which the name of all members has not, or --max-members leaves out",
    ]);
  });

  test("are none of this fleet where none of the names has an address", () => {
    expect(missing(["a", "b"].map((name) => ({ name, address: null })))).toEqual([]);
  });
});
