import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Cell, type Kind, kindOf } from "../../src/diagnose/fleet/cell.ts";
import { type Condition, type Group, groupFailures } from "../../src/diagnose/fleet/group.ts";
import { badResult } from "./fixtures.ts";

/** A thing that is wrong in a cluster. */
type Fault =
  | { readonly what: "node_down"; readonly node: number }
  | { readonly what: "one_direction"; readonly from: number; readonly to: number }
  | { readonly what: "udp_only" | "large_only" | "across_only" | "service_only" | "policy" };

/** Between one member and another, by one protocol and way, where there is no fault: all the ways but the Service. */
interface Path {
  readonly from: number;
  readonly to: number;
  readonly way: Cell["way"];
  readonly protocol: Cell["protocol"];
}

const POLICY = "deny-members";

/** What a fault does to a path; null: nothing. */
function effect(fault: Fault, { from, to, way, protocol }: Path): Kind | null {
  switch (fault.what) {
    case "node_down":
      return to === fault.node ? "nothing" : null;
    case "one_direction":
      return from === fault.from && to === fault.to ? "nothing" : null;
    case "udp_only":
      return protocol === "udp" ? "nothing" : null;
    case "large_only":
      return "large";
    case "across_only":
      return from === to ? null : "nothing";
    case "policy":
      return way === "nodeport" ? null : "nothing";
    case "service_only":
      return null;
  }
}

const worse = (a: Kind | null, b: Kind | null): Kind | null => {
  const order = ["nothing", "some", "large"] as const;
  return order.find((kind) => a === kind || b === kind) ?? null;
};

/** What the Service's cell is, from what each member behind it is to who asks. */
function byService(
  faults: readonly Fault[],
  from: number,
  protocol: Cell["protocol"],
  members: number,
): Kind | null {
  if (faults.some(({ what }) => what === "service_only")) return "nothing";
  const kinds = Array.from({ length: members }, (_, to) =>
    faults.reduce<Kind | null>(
      (kind, fault) => worse(kind, effect(fault, { from, to, way: "pod", protocol })),
      null,
    ),
  );
  if (kinds.every((kind) => kind === "nothing")) return "nothing";
  if (kinds.every((kind) => kind === null)) return null;
  return kinds.some((kind) => kind === "nothing") ? "some" : "large";
}

/** The matrix of a fleet with one member on each node. */
function matrix(members: number, faults: readonly Fault[]): Cell[] {
  const cells: Cell[] = [];
  const isDown = (node: number): boolean =>
    faults.some((fault) => fault.what === "node_down" && fault.node === node);
  const forbids = faults.some(({ what }) => what === "policy");
  const add = (
    from: number,
    to: number | null,
    way: Cell["way"],
    protocol: Cell["protocol"],
    kind: Kind | null,
  ): void => {
    const measured = !isDown(from);
    const ok = measured ? kind === null : null;
    cells.push({
      from: `server${from + 1}`,
      fromNode: `node${from + 1}`,
      to: to === null ? "echo-server" : way === "nodeport" ? `node${to + 1}` : `server${to + 1}`,
      toNode: to === null ? null : `node${to + 1}`,
      way,
      protocol,
      ok,
      why: measured ? null : "kubectl cannot enter it",
      policy: forbids && way !== "nodeport" && ok === false ? POLICY : null,
      result: ok === false && kind !== null ? badResult(kind, protocol) : null,
    });
  };
  for (let from = 0; from < members; from++) {
    for (const protocol of ["tcp", "udp"] as const) {
      for (let to = 0; to < members; to++) {
        for (const way of ["pod", "name", "nodeport"] as const) {
          if (from === to && way !== "nodeport") continue;
          const path = { from, to, way, protocol };
          add(
            from,
            to,
            way,
            protocol,
            faults.reduce<Kind | null>((kind, fault) => worse(kind, effect(fault, path)), null),
          );
        }
      }
      add(from, null, "service", protocol, byService(faults, from, protocol, members));
    }
  }
  return cells;
}

const MEMBERS = 4;
const node = fc.nat(MEMBERS - 1);
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ what: fc.constant("node_down" as const), node }),
  fc
    .record({ what: fc.constant("one_direction" as const), from: node, to: node })
    .filter(({ from, to }) => from !== to),
  fc.record({
    what: fc.constantFrom("udp_only" as const, "large_only", "across_only", "service_only", "policy"),
  }),
);

/** Of the failing cells of a matrix. */
const failing = (cells: readonly Cell[]): number[] =>
  cells.flatMap(({ ok }, at) => (ok === false ? [at] : []));

const said = ({ conditions }: Group): string =>
  conditions === null
    ? "a rest"
    : conditions
        .map((each) =>
          [each.what, "name" in each ? each.name : "", "other" in each ? each.other : ""]
            .filter((part) => part !== "")
            .join(" "),
        )
        .join(", ");

describe("one fault is one problem, and named", () => {
  const cases: readonly [Fault, string, Kind][] = [
    [{ what: "node_down", node: 1 }, "to_node node2", "nothing"],
    [{ what: "one_direction", from: 0, to: 2 }, "to_node node3, from_node node1", "nothing"],
    [{ what: "udp_only" }, "protocol udp", "nothing"],
    [{ what: "large_only" }, "", "large"],
    [{ what: "across_only" }, "across", "nothing"],
    [{ what: "service_only" }, "way service", "nothing"],
    [{ what: "policy" }, `policy ${POLICY}`, "nothing"],
  ];
  for (const [each, conditions, kind] of cases) {
    test(each.what, () => {
      const cells = matrix(MEMBERS, [each]);
      const groups = groupFailures(cells);
      expect(groups.map(said)).toEqual([conditions]);
      expect(groups[0]!.kind).toBe(kind);
      expect(groups[0]!.cells).toEqual(failing(cells));
    });
  }

  test("UDP that is dropped from one node to another fails both ways, and no TCP is accused", () => {
    const dead = (cell: Cell): boolean =>
      cell.protocol === "udp" && [cell.fromNode, cell.toNode].sort().join() === "node1,node3";
    const cells = matrix(3, []).map((cell) => {
      const inPart = cell.way === "service" && cell.protocol === "udp" && cell.fromNode !== "node2";
      if (dead(cell)) return { ...cell, ok: false, result: badResult("nothing", "udp") };
      return inPart ? { ...cell, ok: false, result: badResult("some", "udp") } : cell;
    });
    const groups = groupFailures(cells);
    expect(groups.map(said)).toEqual(["protocol udp, between node1 node3"]);
    expect(groups[0]!.cells).toEqual(failing(cells));
  });
});

test("nothing fails: no problem", () => {
  expect(groupFailures(matrix(MEMBERS, []))).toEqual([]);
});

test("any mixture is three problems at most, the widest first: each cell in one, and what is said is true", () => {
  fc.assert(
    fc.property(fc.array(fault, { minLength: 1, maxLength: 7 }), (faults) => {
      const cells = matrix(MEMBERS, faults);
      const groups = groupFailures(cells);
      expect(groups.length).toBeLessThanOrEqual(3);
      expect(groups.flatMap((group) => group.cells).sort((a, b) => a - b)).toEqual(failing(cells));
      const sizes = groups.map((group) => group.cells.length);
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      for (const { conditions, cells: members } of groups) {
        if (conditions === null) continue;
        const alike = cells.filter((cell) => conditions.every((condition) => holds(condition, cell)));
        expect(alike.filter(({ ok }) => ok === true)).toEqual([]);
        expect(members.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 200 },
  );
});

test("two faults that do not hide each other are both named", () => {
  const cells = matrix(MEMBERS, [{ what: "node_down", node: 3 }, { what: "service_only" }]);
  expect(groupFailures(cells).map(said).sort()).toEqual(["to_node node4", "way service"]);
});

test("fifty members with a node down are grouped while one waits", () => {
  const cells = matrix(50, [{ what: "node_down", node: 7 }]);
  expect(cells.length).toBeGreaterThan(10_000);
  expect(groupFailures(cells).map(said)).toEqual(["to_node node8"]);
});

/** The same as the code means it, said apart from it. */
function holds(condition: Condition, cell: Cell): boolean {
  switch (condition.what) {
    case "to_node":
      return cell.toNode === condition.name;
    case "from_node":
      return cell.fromNode === condition.name;
    case "to":
      return cell.to === condition.name;
    case "from":
      return cell.from === condition.name;
    case "policy":
      return cell.policy === condition.name;
    case "protocol":
      return cell.protocol === condition.name;
    case "way":
      return cell.way === condition.name;
    case "across":
      return cell.toNode !== null && cell.fromNode !== null && cell.fromNode !== cell.toNode;
    case "within":
      return cell.toNode !== null && cell.fromNode === cell.toNode;
    case "between":
      return [cell.fromNode, cell.toNode].sort().join() === [condition.name, condition.other].sort().join();
  }
}

test("a cell's kind is the worst of its problems", () => {
  const cell = matrix(2, [{ what: "udp_only" }]).find(({ protocol }) => protocol === "udp")!;
  for (const kind of ["nothing", "some", "large"] as const) {
    expect(kindOf({ ...cell, ok: false, result: badResult(kind, "udp") })).toBe(kind);
  }
  expect(kindOf({ ...cell, ok: null })).toBeNull();
});
