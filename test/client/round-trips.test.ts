import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RoundTrips } from "../../src/client/round-trips.ts";

/** Evenly spread: doubles of fast-check are mostly close to 0. */
const ms = fc.oneof(
  fc.nat(100_000).map((micros) => micros / 1000),
  fc.nat(1_000_000),
);
const share = fc.nat(1000).map((thousandths) => thousandths / 1000);
const times = fc.array(ms, { minLength: 1, maxLength: 500 });

function tripsOf(all: readonly number[]): RoundTrips {
  const trips = new RoundTrips();
  for (const each of all) trips.add(each);
  return trips;
}

/** The value that a share of all does not exceed, from all of them in order. */
function exact(all: readonly number[], share: number): number {
  const sorted = all.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!;
}

describe("round trips", () => {
  test("without any have no figures", () => {
    expect(new RoundTrips().quantiles()).toBeNull();
    expect(new RoundTrips().quantile(0.5)).toBeNull();
  });

  test("one is all of the figures, exactly", () => {
    expect(tripsOf([0.1234]).quantiles()).toEqual({ min: 0.1234, p50: 0.1234, p99: 0.1234, max: 0.1234 });
    expect(tripsOf([-1]).quantiles()).toEqual({ min: 0, p50: 0, p99: 0, max: 0 });
  });

  test("shorter than can be told apart are told as the shortest", () => {
    expect(tripsOf([0, 0, 0.001]).quantile(0.5)).toBe(2 ** -14);
  });

  test("any quantile is within 1/256 of the exact one; the ends are exact", () => {
    fc.assert(
      fc.property(times, share, (all, part) => {
        const trips = tripsOf(all);
        const wanted = exact(all, part);
        expect(Math.abs(trips.quantile(part)! - wanted)).toBeLessThanOrEqual(
          Math.max(wanted / 256, 2 ** -14),
        );
        expect(trips.quantile(0)).toBe(Math.min(...all));
        expect(trips.quantile(1)).toBe(Math.max(...all));
        expect(trips.count).toBe(all.length);
      }),
    );
  });

  test("of two taken together are those of all", () => {
    fc.assert(
      fc.property(times, times, (some, others) => {
        const together = tripsOf(some);
        together.addAll(tripsOf(others));
        expect(together.quantiles()).toEqual(tripsOf([...some, ...others]).quantiles());
        together.clear();
        expect(together.quantiles()).toBeNull();
      }),
    );
  });
});
