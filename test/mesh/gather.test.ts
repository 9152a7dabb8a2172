import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { assignedTo } from "../../src/diagnose/mesh/gather.ts";
import type { MeshKnowledge } from "../../src/diagnose/mesh/knowledge.ts";
import type { MeshPair, MeshResult } from "../../src/diagnose/mesh/result.ts";
import { peersOf, ringOf } from "../../src/diagnose/mesh/ring.ts";
import { readToldRow, type ToldRow } from "../../src/diagnose/mesh/told-row.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf, unanswered } from "./fixtures.ts";
import { MESH } from "./schema.ts";

/** `/mesh.json` and all rows as one: every pair that was assigned is there, known or unknown, and nothing that nobody measured. */

const NOW = at(10_000);

/** The knowledge of each of so many members, all of them up. */
function fleetOf(count: number, degree: number): MeshKnowledge[] {
  const all = addresses(count);
  return all.map((own, index) => {
    const known = knowledgeOf({ degree, self: { name: `pod-${index + 1}`, node: `node-${index + 1}` } });
    known.take({ roster: rosterOf({ addresses: all, own }) }, at(0));
    answerAll(known, NOW);
    return known;
  });
}

/** As it goes by HTTP. */
function toldBy(known: MeshKnowledge): ToldRow {
  const row = readToldRow(JSON.stringify(known.ownRow(NOW)));
  if (typeof row === "string") throw new Error(row);
  return row;
}

/** Tells the first one the rows of all others but those that are left out. */
function exchange([first, ...others]: readonly MeshKnowledge[], silent: readonly string[] = []): MeshResult {
  for (const other of others) {
    const { own } = other.book.roster;
    if (silent.includes(own!)) first!.missRow(own!, "no answer within 1000 ms", at(5000));
    else first!.takeRow(own!, toldBy(other), NOW);
  }
  return MESH.parse(first!.matrix(NOW));
}

const cell = ({ pairs }: MeshResult, from: string, to: string): MeshPair[] =>
  pairs.filter((pair) => pair.from === from && pair.to === to);

test("the own row: members in the ring's order, of which only this one's row is known, and a pair for each peer", () => {
  const [known] = fleetOf(4, 2);
  const row = MESH.parse(known!.ownRow(NOW));
  expect(row).toMatchObject({
    version: 1,
    self: "pod-1",
    intervalMs: 1000,
    at: new Date(NOW.wallMs).toISOString(),
  });
  expect(row.members.map(({ name, node, row: isKnown }) => [name, node, isKnown])).toEqual([
    ["pod-1", "node-1", true],
    ["10.0.0.2", null, null],
    ["10.0.0.3", null, null],
    ["10.0.0.4", null, null],
  ]);
  expect(row.pairs.map(({ to, protocol, up }) => [to, protocol, up])).toEqual([
    ["10.0.0.2", "tcp", true],
    ["10.0.0.2", "udp", true],
    ["10.0.0.3", "tcp", true],
    ["10.0.0.3", "udp", true],
  ]);
});

test("whoever has no answer to the members' name says so: they may be others by now", () => {
  const [known] = fleetOf(2, 2);
  expect(known!.ownRow(NOW).unresolved).toBeNull();
  const unresolved = "the resolver does not say what mesh is in time";
  known!.take({ roster: rosterOf({ addresses: addresses(2), unresolved }) }, NOW);
  expect(MESH.parse(known!.matrix(NOW)).unresolved).toBe(unresolved);
});

describe("50 members, each asking 10", () => {
  test("all well: 1,000 pairs, under the names that everybody tells, each member asked by ten", () => {
    const matrix = exchange(fleetOf(50, 10));
    expect(matrix.pairs).toHaveLength(1000);
    expect(matrix.pairs.every(({ up }) => up === true)).toBe(true);
    expect(matrix.members.every(({ row }) => row === true)).toBe(true);
    for (const { name, node } of matrix.members) {
      expect(node).toBe(name.replace("pod", "node"));
      expect(matrix.pairs.filter(({ to }) => to === name)).toHaveLength(20);
    }
  });

  test("a row that did not come is there as unknown, since when and why; the others say what they see", () => {
    const fleet = fleetOf(50, 10);
    const matrix = exchange(fleet, ["10.0.0.7"]);
    expect(matrix.pairs).toHaveLength(1000);
    const row = matrix.pairs.filter(({ from }) => from === "10.0.0.7");
    expect(row).toHaveLength(20); // it told no name
    for (const { up, why, since, sent } of row)
      expect([up, why, since, sent]).toEqual([
        null,
        "its row did not come: no answer within 1000 ms",
        new Date(at(5000).wallMs).toISOString(),
        0,
      ]);
    expect(matrix.members.filter(({ row: isKnown }) => !isKnown).map(({ name }) => name)).toEqual([
      "10.0.0.7",
    ]);
    expect(matrix.pairs.filter(({ up }) => up === null)).toHaveLength(20);
  });

  test("one that is down is down in each row that asks it", () => {
    const fleet = fleetOf(50, 10);
    for (const known of fleet)
      for (const probe of ["tcp-new", "tcp-new", "udp", "udp"] as const)
        known.take({ probe: unanswered("10.0.0.30", probe) }, NOW);
    const matrix = exchange(fleet);
    const down = matrix.pairs.filter(({ up }) => up === false);
    expect(down).toHaveLength(20);
    expect(new Set(down.map(({ to }) => to))).toEqual(new Set(["pod-30"]));
  });
});

describe("a member is believed of its own row alone", () => {
  const fleet = fleetOf(3, 10);
  const first = fleet[0]!;
  const truth = fleet[1]!.ownRow(NOW);
  const tell = (row: MeshResult): MeshResult => {
    const told = readToldRow(JSON.stringify(row));
    if (typeof told === "string") throw new Error(told);
    first.takeRow("10.0.0.2", told, NOW);
    return MESH.parse(first.matrix(NOW));
  };

  test("what it says of other rows is left out", () => {
    const lie = truth.pairs.map((pair) => ({ ...pair, from: "pod-3", up: false }));
    const matrix = tell({ ...truth, pairs: [...truth.pairs, ...lie] });
    expect(cell(matrix, "pod-2", "10.0.0.3").map(({ up }) => up)).toEqual([true, true]);
    expect(matrix.pairs.filter(({ up }) => up === false)).toEqual([]);
  });

  test("what it says of members that are not known here, and of itself, is left out; the rest is unknown", () => {
    const pairs = [
      ...truth.pairs,
      { ...truth.pairs[0]!, to: "pod-2" },
      { ...truth.pairs[0]!, to: "elsewhere" },
    ];
    const members = [...truth.members, { name: "elsewhere", node: null, address: "10.9.9.9", row: null }];
    expect(tell({ ...truth, members, pairs }).pairs).toEqual(tell(truth).pairs);
    const none = tell({ ...truth, pairs: [] });
    expect(none.pairs.filter(({ from }) => from === "pod-2").map(({ up, why }) => [up, why])).toEqual(
      Array.from({ length: 4 }, () => [null, "pod-2 does not ask it: it knows of other members"]),
    );
  });

  test("names are those that this member knows, whatever the other one calls them", () => {
    const renamed = {
      ...truth,
      members: truth.members.map((member) =>
        member.address === "10.0.0.1" ? { ...member, name: "nonsense", node: "nowhere" } : member,
      ),
      pairs: truth.pairs.map((pair) => (pair.to === "10.0.0.1" ? { ...pair, to: "nonsense" } : pair)),
    };
    const matrix = tell(renamed);
    expect(cell(matrix, "pod-2", "pod-1")).toHaveLength(2);
    expect(cell(matrix, "pod-2", "pod-1")[0]!.toNode).toBe("node-1");
  });

  test("who claims this member's name is told apart, and takes none of its pairs", () => {
    const impostor = {
      ...truth,
      self: "pod-1",
      members: truth.members.map((member) =>
        member.name === "pod-2" ? { ...member, name: "pod-1" } : member,
      ),
      pairs: truth.pairs.map((pair) => ({ ...pair, from: "pod-1", up: false, why: "a lie" })),
    };
    const matrix = tell(impostor);
    expect(matrix.members.map(({ name }) => name)).toContain("pod-1@10.0.0.2");
    expect(cell(matrix, "pod-1", "pod-1@10.0.0.2").map(({ up }) => up)).toEqual([null, null]); // another Pod: begun anew
    expect(matrix.pairs.filter(({ up }) => up === false).every(({ from }) => from === "pod-1@10.0.0.2")).toBe(
      true,
    );
  });
});

describe("a member without an address", () => {
  const named = [
    { name: "server1.headless", address: "10.0.0.1" },
    { name: "server9.headless", address: null },
  ];
  const withMissing = (degree: number): MeshResult => {
    const known = knowledgeOf({ degree });
    known.take({ roster: rosterOf({ addresses: addresses(3), named }) }, at(0));
    answerAll(known, NOW);
    return MESH.parse(known.matrix(NOW));
  };

  test("is unknown to everybody who is here", () => {
    const matrix = withMissing(10);
    expect(matrix.members.at(-1)).toEqual({
      name: "server9.headless",
      node: null,
      address: null,
      row: false,
    });
    for (const pair of cell(matrix, "pod-1", "server9.headless"))
      expect(pair).toMatchObject({ up: null, since: null, why: "its name has no address" });
    expect(cell(matrix, "pod-1", "server9.headless")).toHaveLength(2);
  });

  test("has a row of unknown pairs where everybody asks everybody, and none where the ring decides", () => {
    expect(withMissing(3).pairs.filter(({ from }) => from === "server9.headless")).toHaveLength(6);
    expect(withMissing(2).pairs.filter(({ from }) => from === "server9.headless")).toHaveLength(0);
  });
});

test("peers of all at once are those of the ring, one by one", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const address = fc.oneof(
    fc.tuple(octet, octet).map(([a, b]) => `10.${a}.0.${b}`),
    octet.map((a) => `fd00::${a.toString(16)}`),
  );
  fc.assert(
    fc.property(
      fc.array(address, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      (all, degree) => {
        const ring = ringOf(all, null, 1000).addresses;
        for (const [own, peers] of assignedTo(ring, degree))
          expect(peers).toEqual(peersOf(ring, own, degree));
      },
    ),
  );
});

test("a row that came counts for two seconds, and then its member is unknown until one comes again", () => {
  const fleet = fleetOf(3, 10);
  exchange(fleet);
  const [first, second] = fleet;
  const stateAt = (ms: number): unknown => {
    const matrix = MESH.parse(first!.matrix(at(ms)));
    const [pair] = cell(matrix, "pod-2", "pod-1");
    return [matrix.members[1]?.row, pair?.up, pair?.since, pair?.why];
  };
  const since = (ms: number): string => new Date(at(ms).wallMs).toISOString();
  expect(stateAt(12_000)).toMatchObject([true, true, since(10_000), null]);
  const unknown = [false, null, since(12_001), "its row did not come: its prober has not answered yet"];
  expect(stateAt(12_001)).toEqual(unknown);
  first!.missRow("10.0.0.2", "no answer within 1500 ms", at(12_500));
  const later = [false, null, since(12_001), "its row did not come: no answer within 1500 ms"];
  expect(stateAt(13_000)).toEqual(later);
  expect(stateAt(20_000)).toEqual(later);
  first!.takeRow("10.0.0.2", toldBy(second!), at(20_000));
  expect(stateAt(20_001)).toMatchObject([true, true, since(10_000), null]);
});
