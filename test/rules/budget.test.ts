import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BannerBudget } from "../../src/rules/budget.ts";
import { CONTROL, makeSharedTables } from "../../src/state/shared.ts";
import { ip, settings } from "./fixtures.ts";

const START_MS = 1_700_000_000_000;

function budgetOf(udpBannerRate: number, udpBannerRatePerPrefix: number): BannerBudget {
  return new BannerBudget(settings({ udpBannerRate, udpBannerRatePerPrefix }), makeSharedTables(1, 0));
}

/** How many of `tries` banners at one moment are paid for. */
function granted(budget: BannerBudget, client: string, nowMs: number, tries: number): number {
  let count = 0;
  for (let at = 0; at < tries; at++) if (budget.spend(ip(client), nowMs) === null) count++;
  return count;
}

describe("the whole server's budget", () => {
  test("is a second's worth at once, then the rate", () => {
    const budget = budgetOf(50, 1_000_000);
    expect(granted(budget, "10.0.0.1", START_MS, 200)).toBe(50);
    expect(granted(budget, "10.0.0.1", START_MS + 100, 200)).toBe(5);
    expect(granted(budget, "10.0.0.1", START_MS + 1100, 200)).toBe(50);
    expect(granted(budget, "10.0.0.1", START_MS + 3_600_000, 200)).toBe(50); // what is unused does not pile up
  });

  test("is shared by all prefixes, and says so", () => {
    const budget = budgetOf(10, 1_000_000);
    for (let at = 0; at < 10; at++) expect(budget.spend(ip(`10.${at}.0.1`), START_MS)).toBeNull();
    expect(budget.spend(ip("172.16.0.1"), START_MS)).toBe("rate");
  });

  test("of one a second is one, not none", () => {
    const budget = budgetOf(1, 1);
    expect(budget.spend(ip("10.0.0.1"), START_MS)).toBeNull();
    expect(budget.spend(ip("10.0.0.1"), START_MS + 999)).not.toBeNull();
    expect(budget.spend(ip("10.0.0.1"), START_MS + 1000)).toBeNull();
  });
});

test("a budget without a limit is never spent", () => {
  const budget = budgetOf(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  expect(granted(budget, "10.0.0.1", START_MS, 100_000)).toBe(100_000);
  const server = budgetOf(3, Number.POSITIVE_INFINITY);
  expect(granted(server, "10.0.0.1", START_MS, 10)).toBe(3);
});

describe("a prefix's budget", () => {
  test("is spent by every address of an IPv4 /24, and by no other", () => {
    const budget = budgetOf(1_000_000, 4);
    for (let at = 1; at <= 4; at++) expect(budget.spend(ip(`192.0.2.${at}`), START_MS)).toBeNull();
    expect(budget.spend(ip("192.0.2.200"), START_MS)).toBe("prefix_rate");
    expect(budget.spend(ip("192.0.3.1"), START_MS)).toBeNull();
  });

  test("is spent by every address of an IPv6 /64, and by no other", () => {
    const budget = budgetOf(1_000_000, 2);
    expect(budget.spend(ip("2001:db8:0:1::1"), START_MS)).toBeNull();
    expect(budget.spend(ip("2001:db8:0:1:ffff::2"), START_MS)).toBeNull();
    expect(budget.spend(ip("2001:db8:0:1::3"), START_MS)).toBe("prefix_rate");
    expect(budget.spend(ip("2001:db8:0:2::1"), START_MS)).toBeNull();
  });

  test("that is empty costs the server nothing", () => {
    const budget = budgetOf(3, 1);
    expect(granted(budget, "192.0.2.1", START_MS, 100)).toBe(1);
    expect(budget.spend(ip("192.0.3.1"), START_MS)).toBeNull();
    expect(budget.spend(ip("192.0.4.1"), START_MS)).toBeNull();
  });
});

test("over any stretch no more is granted than the rate and one second's worth", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.record({ waitMs: fc.nat(400), tries: fc.nat(120) }), { minLength: 1, maxLength: 40 }),
      (rate, bursts) => {
        const budget = budgetOf(rate, 1_000_000);
        let nowMs = START_MS;
        let total = 0;
        for (const { waitMs, tries } of bursts) {
          nowMs += waitMs;
          total += granted(budget, "10.0.0.1", nowMs, tries);
          expect(total).toBeLessThanOrEqual(rate + ((nowMs - START_MS) * rate) / 1000 + 1e-6);
        }
      },
    ),
  );
});

test("loops spend one budget, and leave the lock free", () => {
  const tables = makeSharedTables(2, 0);
  const limits = settings({ udpBannerRate: 2, udpBannerRatePerPrefix: 1_000_000 });
  const [one, two] = [new BannerBudget(limits, tables), new BannerBudget(limits, tables)];
  expect(one.spend(ip("10.0.0.1"), START_MS)).toBeNull();
  expect(two.spend(ip("10.0.0.1"), START_MS)).toBeNull();
  expect(one.spend(ip("10.0.0.1"), START_MS)).toBe("rate");
  expect(new Int32Array(tables.control)[CONTROL.lock]).toBe(0);
});
