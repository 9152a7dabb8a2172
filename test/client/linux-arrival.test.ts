import { describe, expect, test } from "bun:test";
import { arrivalMs, hasStepped } from "../../src/client/linux/arrival.ts";
import { type ClockReading, readClocks } from "../../src/sys/clock.ts";

/** 2026-11-26, at a moment that is 1,000 ms by the monotonic clock. */
const NOW: ClockReading = { seconds: 1_795_651_200, nanos: 500_000_000, atMs: 1000, offByMs: 0 };
const BRACKET = { emptyAtMs: 900, readAtMs: 1000.02 };

/** What the kernel's stamp is of something that came `ms` before `NOW`. */
function stamped(ms: number): { seconds: number; nanos: number } {
  const nanos = NOW.nanos - Math.round(ms * 1e6);
  const seconds = Math.floor(nanos / 1e9);
  return { seconds: NOW.seconds + seconds, nanos: nanos - seconds * 1e9 };
}

describe("a kernel's stamp", () => {
  test("is told as monotonic time, to the microsecond, over the turn of a second too", () => {
    for (const ago of [0.001, 0.25, 1.5, 99.999]) {
      expect(arrivalMs(stamped(ago), NOW, BRACKET)).toBeCloseTo(1000 - ago, 5);
    }
    const early: ClockReading = { seconds: NOW.seconds, nanos: 1_000, atMs: 1000, offByMs: 0 };
    const stamp = { seconds: NOW.seconds - 1, nanos: 999_501_000 };
    expect(arrivalMs(stamp, early, BRACKET)).toBeCloseTo(999.5, 5);
  });

  test("that was made while its socket was read lies after the reading of the clocks", () => {
    expect(arrivalMs(stamped(-0.01), NOW, BRACKET)).toBeCloseTo(1000.01, 5);
  });

  test("that is off by what reading two clocks costs is put to the bracket's edge", () => {
    expect(arrivalMs(stamped(-0.05), NOW, BRACKET)).toBe(1000.02);
    expect(arrivalMs(stamped(100.02), NOW, BRACKET)).toBe(900);
  });

  test("is discarded where the wall clock was set since, forward or back", () => {
    expect(arrivalMs(stamped(0.5 + 3_600_000), NOW, BRACKET)).toBeNull();
    expect(arrivalMs(stamped(0.5 - 3_600_000), NOW, BRACKET)).toBeNull();
    expect(arrivalMs(stamped(100.2), NOW, BRACKET)).toBeNull();
    expect(arrivalMs(stamped(-0.1), NOW, BRACKET)).toBeNull();
  });
});

describe("a wall clock", () => {
  const later = (wallMs: number, monotonicMs: number): ClockReading => ({
    seconds: NOW.seconds + Math.floor(wallMs / 1000),
    nanos: NOW.nanos + (wallMs % 1000) * 1e6,
    atMs: NOW.atMs + monotonicMs,
    offByMs: 0,
  });

  test("was set where its distance from the monotonic one changes", () => {
    expect(hasStepped(NOW, later(250, 250))).toBe(false);
    expect(hasStepped(NOW, later(250.05, 250))).toBe(false);
    expect(hasStepped(NOW, later(251, 250))).toBe(true);
    expect(hasStepped(NOW, later(10, 250))).toBe(true);
  });

  test("was not where the reading took as long as that", () => {
    expect(hasStepped(NOW, { ...later(251, 250), offByMs: 1 })).toBe(false);
    expect(hasStepped(NOW, { ...later(1250, 250), offByMs: 1 })).toBe(true);
  });

  test("of this machine is read beside the monotonic one", () => {
    const before = readClocks();
    expect(Math.abs(before.seconds * 1000 + before.nanos / 1e6 - Date.now())).toBeLessThan(60_000);
    const after = readClocks();
    expect(after.atMs).toBeGreaterThanOrEqual(before.atMs);
    expect(after.atMs).toBeLessThanOrEqual(performance.now());
  });
});
