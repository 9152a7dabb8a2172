import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Binomial } from "../../src/diagnose/check/binomial.ts";
import { unevenNote } from "../../src/diagnose/check/uneven.ts";
import type { ServerSeen } from "../../src/diagnose/result.ts";

function servers(...flows: readonly number[]): ServerSeen[] {
  return flows.map((count, at) => ({ server: `10.0.0.${at + 1}:5678`, pod: null, node: null, flows: count }));
}

const trials = fc.integer({ min: 1, max: 400 });
const chance = fc.integer({ min: 1, max: 99 }).map((percent) => percent / 100);

/** The probability of each count, from Pascal's triangle's definition, in logarithms. */
function exactOf(n: number, p: number): number[] {
  const logFactorial = [0];
  for (let each = 1; each <= n; each++) logFactorial.push(logFactorial[each - 1]! + Math.log(each));
  return logFactorial.map((_, k) =>
    Math.exp(
      logFactorial[n]! -
        logFactorial[k]! -
        logFactorial[n - k]! +
        k * Math.log(p) +
        (n - k) * Math.log(1 - p),
    ),
  );
}

describe("the exact two-sided binomial test", () => {
  // As R's binom.test prints them; the second is the example of its manual, the third that of Wikipedia's article.
  for (const [count, n, p, wanted] of [
    [9, 10, 0.5, 0.021484375],
    [682, 925, 0.75, 0.3824915595748427],
    [51, 235, 1 / 6, 0.04374797],
    [0, 10, 0.5, 0.001953125],
    [5, 10, 0.5, 1],
    [10, 10, 1 / 3, 1 / 3 ** 10],
  ] as const) {
    test(`${count} of ${n} at ${p.toFixed(3)} is ${wanted}`, () => {
      expect(new Binomial(n, p).pValue(count)).toBeCloseTo(wanted, 8);
    });
  }

  test("is the sum of the probabilities of all counts that are no likelier", () => {
    fc.assert(
      fc.property(trials, chance, fc.nat(400), (n, p, any) => {
        const count = any % (n + 1);
        const all = exactOf(n, p);
        const wanted = all.filter((each) => each <= all[count]! * (1 + 1e-7)).reduce((a, b) => a + b, 0);
        expect(new Binomial(n, p).pValue(count)).toBeCloseTo(Math.min(1, wanted), 7);
      }),
    );
  });

  test("expects just the counts that it does not reject", () => {
    const level = fc.constantFrom(0.5, 0.05, 0.001, 0.0001);
    fc.assert(
      fc.property(trials, chance, level, (n, p, at) => {
        const binomial = new Binomial(n, p);
        const [least, most] = binomial.expected(at);
        for (let count = 0; count <= n; count++) {
          expect(binomial.pValue(count) >= at).toBe(count >= least && count <= most);
        }
      }),
    );
  });

  test("holds with many trials", () => {
    const binomial = new Binomial(100_000, 0.5);
    expect(binomial.pValue(50_000)).toBe(1);
    expect(binomial.pValue(0)).toBe(0);
    // 3.29 standard deviations of 158.1 on both sides hold 999 of 1,000.
    expect(binomial.expected(0.001)).toEqual([49_480, 50_520]);
  });
});

describe("an uneven spread", () => {
  test("is said with who stands out and what chance gives", () => {
    expect(unevenNote(servers(38, 2))).toEqual({
      code: "uneven",
      says:
        "of 40 flows 10.0.0.1:5678 38 and 10.0.0.2:5678 2, " + "where chance gives each of 2 servers 9 to 31",
    });
  });

  test("is none where chance gives it, where one server answered, and where none is known", () => {
    for (const even of [servers(31, 9), servers(5, 4), servers(9, 1), servers(1000), servers(), null]) {
      expect(unevenNote(even)).toBeNull();
    }
  });

  test("is not of flows whose server is not known", () => {
    expect(unevenNote([{ server: null, pod: null, node: null, flows: 500 }, ...servers(6, 5)])).toBeNull();
  });

  test("is said of chance alone less than once in 1,000", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), (flows) => {
        const binomial = exactOf(flows, 0.5);
        const called = binomial.filter(
          (_, first) => first > 0 && first < flows && unevenNote(servers(first, flows - first)) !== null,
        );
        expect(called.reduce((sum, each) => sum + each, 0)).toBeLessThan(0.001);
      }),
    );
  });
});
