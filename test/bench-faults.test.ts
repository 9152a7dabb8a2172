import { describe, expect, test } from "bun:test";
import { CASES, columnsOf, runCase, STALLS } from "../bench/dev/fault-cases.ts";
import { DOCUMENT, rowStart } from "../bench/dev/faults.ts";
import { kernelAgreements } from "../bench/dev/kernel-check.ts";
import { LINUX } from "./bench-run.ts";

/** The table of docs/bench.md: each fault is in its own column, as often as it was made. */
describe.if(LINUX)("each fault is in its own column, as often as it was made", () => {
  for (const each of CASES) {
    test(`${each.protocol}: ${each.fault}`, async () => {
      const { made, exitCode, result } = await runCase(each);
      if (each.make !== "none") expect(made).toBeGreaterThan(0);
      const limited = result.limits.length > 0;
      const own = { ...result, ...(limited && { notSent: 0, late: 0 }) };
      const expected = { ...each.seen(made, result), ...(limited && { notSent: 0, late: 0 }) };
      expect(columnsOf(own)).toEqual(columnsOf(expected));
      expect(exitCode).toBe(result.exact === true ? 0 : 1);
      if (!limited) expect(result.exact).toBe(each.exact);
      else expect(result.exact === null || result.exact === each.exact).toBe(true);
    });
  }
});

test.if(LINUX)("a message that comes to a session of another Worker is foreign, and not lost", async () => {
  const [each] = CASES.filter(({ make, protocol }) => make === "foreign" && protocol === "udp");
  const { made, result } = await runCase({ ...each!, args: [...each!.args, "--workers", "4"] });
  expect(columnsOf(result)).toEqual({ foreign: made });
  expect(result.exact).toBe(false);
});

test("the table of docs/bench.md has a row for each of them, and no other", async () => {
  const text = await Bun.file(DOCUMENT).text();
  const rows = text.split("<!-- faults: ")[1]!.split("<!-- faults end")[0]!.split("\n").slice(3, -1);
  const cases = [...CASES, ...STALLS];
  expect(rows.map((row, at) => row.startsWith(rowStart(cases[at]!)))).toEqual(cases.map(() => true));
});

test.if(LINUX)("the bench counts what the kernel counts, over TCP and UDP", async () => {
  const agreements = await kernelAgreements();
  expect(agreements).toHaveLength(7);
  for (const { what, bench, kernel } of agreements) {
    expect(bench).toBeGreaterThan(1000);
    expect({ what, kernel }).toEqual({ what, kernel: bench });
  }
});
