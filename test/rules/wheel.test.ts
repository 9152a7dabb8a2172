import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DeadlineWheel, wheelTickMs } from "../../src/rules/wheel.ts";

const START_MS = 1_700_000_000_000;

/** A check that notes each slot that is due, and watches none any longer. */
function note(due: number[]): (slot: number) => number {
  return (slot) => {
    due.push(slot);
    return 0;
  };
}

describe("a deadline", () => {
  test("is noticed at its tick, not before, and once", () => {
    const wheel = new DeadlineWheel(4, 1000, 100, START_MS);
    const due: number[] = [];
    wheel.add(2, START_MS + 500);
    wheel.advance(START_MS + 499, note(due));
    expect(due).toEqual([]);
    wheel.advance(START_MS + 500, note(due));
    expect(due).toEqual([2]);
    wheel.advance(START_MS + 100_000, note(due));
    expect(due).toEqual([2]);
  });

  test("is put off by what the check answers", () => {
    const wheel = new DeadlineWheel(1, 1000, 100, START_MS);
    const looked: number[] = [];
    wheel.add(0, START_MS + 300);
    for (let now = START_MS; now <= START_MS + 2000; now += 50) {
      wheel.advance(now, () => {
        looked.push(now - START_MS);
        return looked.length < 3 ? now + 700 : 0;
      });
    }
    expect(looked).toEqual([300, 1000, 1700]);
  });

  test("is noticed once after a stall of many turns", () => {
    const wheel = new DeadlineWheel(100, 1000, 10, START_MS);
    for (let slot = 0; slot < 100; slot++) wheel.add(slot, START_MS + slot * 10);
    const due: number[] = [];
    wheel.advance(START_MS + 3_600_000, note(due));
    expect(due.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, slot) => slot));
  });

  test("in the past is noticed at the next tick", () => {
    const wheel = new DeadlineWheel(1, 1000, 100, START_MS);
    wheel.add(0, START_MS - 5000);
    const due: number[] = [];
    wheel.advance(START_MS + 100, note(due));
    expect(due).toEqual([0]);
  });

  test("beyond the horizon is looked at early and put back", () => {
    const wheel = new DeadlineWheel(1, 500, 100, START_MS);
    const deadline = START_MS + 10_000;
    wheel.add(0, deadline);
    let fired = 0;
    for (let now = START_MS; now <= deadline + 100; now += 100) {
      wheel.advance(now, () => {
        if (now < deadline) return deadline;
        fired = now;
        return 0;
      });
    }
    expect(fired).toBe(deadline);
  });
});

test("a removed session is never checked, whatever its neighbours in the bucket", () => {
  for (const removed of [0, 1, 2]) {
    const wheel = new DeadlineWheel(3, 1000, 100, START_MS);
    for (let slot = 0; slot < 3; slot++) wheel.add(slot, START_MS + 200);
    wheel.remove(removed);
    wheel.remove(removed); // a second time changes nothing
    const due: number[] = [];
    wheel.advance(START_MS + 300, note(due));
    expect(due.toSorted()).toEqual([0, 1, 2].filter((slot) => slot !== removed));
  }
});

test("a check may remove others, and the wheel goes on", () => {
  const wheel = new DeadlineWheel(6, 1000, 100, START_MS);
  for (let slot = 0; slot < 6; slot++) wheel.add(slot, START_MS + 200);
  const due: number[] = [];
  wheel.advance(START_MS + 300, (slot) => {
    due.push(slot);
    wheel.remove(slot ^ 1);
    return 0;
  });
  expect(due.length).toBe(3);
  expect(new Set(due.map((slot) => slot >> 1)).size).toBe(3);
});

test("any mix of sessions ends as a list of deadlines would have it", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), slot: fc.nat(15), waitMs: fc.nat(3000) }),
    fc.record({ kind: fc.constant("remove" as const), slot: fc.nat(15) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(2500) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const tickMs = 100;
      const wheel = new DeadlineWheel(16, 1000, tickMs, START_MS);
      const deadlines = new Map<number, number>();
      let now = START_MS;
      for (const step of steps) {
        if (step.kind === "remove") {
          wheel.remove(step.slot);
          deadlines.delete(step.slot);
        } else if (step.kind === "add") {
          if (deadlines.has(step.slot)) continue;
          wheel.add(step.slot, now + step.waitMs);
          deadlines.set(step.slot, now + step.waitMs);
        } else {
          now += step.ms;
          wheel.advance(now, (slot) => {
            const deadline = deadlines.get(slot);
            if (deadline === undefined) throw new Error(`slot ${slot} is not watched`);
            if (deadline > now) return deadline;
            deadlines.delete(slot);
            return 0;
          });
          // However far time jumped, a deadline is noticed within a tick.
          for (const deadline of deadlines.values()) expect(deadline).toBeGreaterThan(now - tickMs);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("the grain is a 25th of the timeout, 10 to 250 ms", () => {
  expect([10, 250, 1000, 5000, 6250, 300_000].map(wheelTickMs)).toEqual([10, 10, 40, 200, 250, 250]);
});
