import { describe, expect, test } from "bun:test";
import {
  BANNER_SUPPRESSIONS,
  COLUMNS,
  COUNTER,
  countersOf,
  DURATION_BOUNDS_S,
  makeCounterTable,
  observeDuration,
  PROXY_KINDS,
  sumColumn,
  TCP_CLOSES,
  TCP_REFUSALS,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../../src/state/counters.ts";

test("columns of several numbers do not overlap, and fill the row", () => {
  const durations = DURATION_BOUNDS_S.length + 2;
  const lengths: Partial<Record<keyof typeof COUNTER, number>> = {
    tcpRefused: TCP_REFUSALS.length,
    tcpClosedBy: TCP_CLOSES.length,
    tcpDuration: durations,
    proxyHeaders: PROXY_KINDS.length,
    udpRefused: UDP_REFUSALS.length,
    udpClosedBy: UDP_CLOSES.length,
    udpDropped: UDP_DROPS.length,
    udpBannersSuppressed: BANNER_SUPPRESSIONS.length,
    udpDuration: durations,
  };
  const taken = Object.entries(COUNTER).flatMap(([name, first]) =>
    Array.from({ length: lengths[name as keyof typeof COUNTER] ?? 1 }, (_, at) => first + at),
  );
  expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: COLUMNS }, (_, at) => at));
});

test("a column is summed over all loops, exactly up to 2^53", () => {
  const table = makeCounterTable(3);
  expect(sumColumn(table, COUNTER.tcpSentBytes)).toBe(0);
  countersOf(table, 0)[COUNTER.tcpSentBytes] = 2 ** 53 - 4;
  countersOf(table, 1)[COUNTER.tcpSentBytes]! += 1;
  countersOf(table, 2)[COUNTER.tcpSentBytes]! += 2;
  countersOf(table, 1)[COUNTER.tcpSentBytes + 1] = 99;
  countersOf(table, 1)[COUNTER.tcpSentBytes - 1] = 99;
  expect(sumColumn(table, COUNTER.tcpSentBytes)).toBe(Number.MAX_SAFE_INTEGER);
});

describe("a duration", () => {
  const cases: [number, number][] = [
    [0, 0],
    [0.001, 0], // a bound belongs to its bucket: le
    [0.0011, 1],
    [86400, 8],
    [86401, 9],
  ];
  for (const [seconds, bucket] of cases) {
    test(`of ${seconds} s is in bucket ${bucket}`, () => {
      const counters = countersOf(makeCounterTable(1), 0);
      observeDuration(counters, COUNTER.udpDuration, seconds);
      const slots = [
        ...counters.subarray(COUNTER.udpDuration, COUNTER.udpDuration + DURATION_BOUNDS_S.length + 2),
      ];
      expect(slots.slice(0, -1)).toEqual(
        Array.from({ length: DURATION_BOUNDS_S.length + 1 }, (_, at) => (at === bucket ? 1 : 0)),
      );
      expect(slots.at(-1)).toBe(seconds);
      expect(counters.reduce((a, b) => a + b)).toBeCloseTo(1 + seconds, 9);
    });
  }
});
