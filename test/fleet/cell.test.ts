import { describe, expect, test } from "bun:test";
import type { PlannedCell } from "../../src/diagnose/fleet/plan.ts";
import { cellOf } from "../../src/diagnose/fleet/run.ts";
import type { CheckResult } from "../../src/diagnose/result.ts";
import { badResult } from "./fixtures.ts";

/** A planned cell with what was answered. */

const PLANNED: PlannedCell = {
  from: "server1",
  fromNode: "node1",
  to: "server2",
  toNode: "node2",
  way: "name",
  protocol: "udp",
  target: "udp://server2.headless:5678",
  why: null,
  policy: null,
};

const bad: CheckResult = { ...badResult("nothing", "udp"), target: PLANNED.target! };
const well: CheckResult = { ...bad, ok: true, problems: [] };

describe("a cell is", () => {
  test("what its own target's result is", () => {
    const other: CheckResult = { ...bad, target: "udp://server3.headless:5678" };
    expect(cellOf(PLANNED, [other, well])).toMatchObject({ ok: true, why: null, result: well });
    expect(cellOf(PLANNED, [bad, { ...well, protocol: "tcp" }])).toMatchObject({ ok: false, result: bad });
    expect(cellOf(PLANNED, [other])).toMatchObject({
      ok: null,
      why: "check said nothing of it",
      result: null,
    });
  });

  test("not well where one address of its name is not", () => {
    expect(cellOf(PLANNED, [well, bad])).toMatchObject({ ok: false, result: bad });
  });

  test("not measured where it was not to be asked, or could not be", () => {
    expect(cellOf({ ...PLANNED, target: null, why: "by design" }, [well])).toMatchObject({
      ok: null,
      why: "by design",
    });
    expect(cellOf(PLANNED, "no way in")).toMatchObject({ ok: null, why: "no way in", result: null });
    expect(cellOf(PLANNED, undefined)).toMatchObject({ ok: null, why: "it was not asked" });
  });

  test("not measured where the asking end ran out of something: that says nothing of the way", () => {
    const [problem] = bad.problems;
    const here: CheckResult = {
      ...bad,
      problems: [{ ...problem!, code: "no_ports_here", says: "no port is free" }],
    };
    expect(cellOf(PLANNED, [here])).toMatchObject({ ok: null, why: "no port is free", result: here });
    expect(cellOf(PLANNED, [{ ...here, problems: [...here.problems, problem!] }])).toMatchObject({
      ok: false,
    });
  });
});
