import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Stalls } from "../../src/diagnose/stalls.ts";

describe("a clock that stands while the process does not run", () => {
  test("leaves out what the process was late by, and a timer's own coarseness not", () => {
    const stalls = new Stalls();
    stalls.ran(100, 101);
    expect(stalls.count).toBe(0);
    stalls.ran(200, 1200);
    expect([stalls.count, stalls.totalMs, stalls.longestMs]).toEqual([1, 1000, 1000]);
    expect(stalls.between(150, 1250)).toBe(1000);
    expect(stalls.between(700, 1250)).toBe(500);
    expect(stalls.between(1200, 5000)).toBe(0);
    expect(stalls.between(0, 200)).toBe(0);
  });

  test("counts the same stall once, by whomever it is seen first", () => {
    const stalls = new Stalls();
    stalls.ran(200, 1200); // a datagram was read before the timer ran
    stalls.ran(200, 1201);
    stalls.ran(200, 1240);
    expect(stalls.totalMs).toBe(1040);
  });

  test("never goes back, is never faster than time, and stands in a stall", () => {
    const stall = fc.record({
      afterMs: fc.integer({ min: 0, max: 500 }),
      ms: fc.integer({ min: 0, max: 3000 }),
    });
    fc.assert(
      fc.property(fc.array(stall, { maxLength: 50 }), (list) => {
        const stalls = new Stalls();
        let nowMs = 0;
        const moments: number[] = [0];
        for (const { afterMs, ms } of list) {
          nowMs += afterMs;
          moments.push(nowMs, nowMs + ms / 2);
          stalls.ran(nowMs, nowMs + ms);
          nowMs += ms;
          moments.push(nowMs);
        }
        for (let at = 1; at < moments.length; at++) {
          const passed = stalls.awakeAt(moments[at]!) - stalls.awakeAt(moments[at - 1]!);
          expect(passed).toBeGreaterThanOrEqual(0);
          expect(passed).toBeLessThanOrEqual(moments[at]! - moments[at - 1]! + 1e-6);
        }
        expect(stalls.awakeAt(nowMs)).toBeCloseTo(nowMs - stalls.totalMs, 6);
      }),
      { numRuns: 500 },
    );
  });

  test("remembers a bounded number, and stays right for what is recent", () => {
    const stalls = new Stalls();
    for (let at = 0; at < 10_000; at++) stalls.ran(at * 1000, at * 1000 + 100);
    expect(stalls.between(9_999_050, 9_999_500)).toBe(50);
    expect(stalls.awakeAt(10_000_000)).toBe(9_000_000);
  });
});
