import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { jsonText, reportLines, stepText } from "../../src/diagnose/check/report.ts";
import { align, textOf, WIDTH, wrap } from "../../src/diagnose/layout.ts";
import type { CheckReport, CheckResult, Note, Problem } from "../../src/diagnose/result.ts";
import { PROBLEMS, reportOf, WELL } from "./results.ts";
import { NOTE_CODES, PROBLEM_CODES, REPORT } from "./schema.ts";

function wordsOf(report: CheckReport, mtu = false): string {
  return textOf(reportLines(report, { mtu }), false);
}

function widest(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}

describe("in words", () => {
  test("all well", () => {
    expect(wordsOf(reportOf(WELL))).toMatchSnapshot();
  });

  test.each(PROBLEM_CODES.map((code) => [code]))("%s", (code) => {
    const text = wordsOf(reportOf([PROBLEMS[code]]));
    expect(text).toMatchSnapshot();
    const { says, likely, flow, next } = PROBLEMS[code].problems[0]!;
    // However it is wrapped, all of it is there.
    const flat = text.replace(/( \\)?\n +/g, " ");
    for (const part of [code, says, `Likely: ${likely}`, flow, next])
      if (part !== null) expect(flat).toContain(part);
    expect(widest(text)).toBeLessThanOrEqual(WIDTH);
    expect(text).toContain(`1 of 1 check not well: ${code}; 1.42 s`);
  });

  test("several targets, in their order, and all in the last line", () => {
    const text = wordsOf(
      reportOf([WELL[0]!, PROBLEMS.refused, PROBLEMS.lost, PROBLEMS.refused], { attempts: 3 }),
    );
    expect(text.split("\n").filter((line) => /^(tcp|udp) /.test(line))).toEqual([
      "tcp 10.96.0.7:1234 (echo-server): well",
      "tcp 10.96.0.7:1234 (echo-server): refused",
      "udp 10.244.1.2:5678: lost",
      "tcp 10.96.0.7:1234 (echo-server): refused",
    ]);
    expect(text.trimEnd().split("\n").at(-1)).toBe(
      "3 of 4 checks not well: refused, lost; 1.42 s, at attempt 3",
    );
  });

  test("colours are added to the same words", () => {
    const lines = reportLines(reportOf([WELL[0]!, PROBLEMS.lost]), { mtu: false });
    const coloured = textOf(lines, true);
    expect(coloured).toContain("\x1b[1;32mtcp 10.96.0.7:1234 (echo-server): well\x1b[0m");
    expect(coloured).toContain("\x1b[1;31mudp 10.244.1.2:5678: lost\x1b[0m");
    expect(Bun.stripANSI(coloured)).toBe(textOf(lines, false));
    expect(textOf(lines, false)).not.toContain("\x1b");
  });

  test("sizes are said not to be asked for where they were not", () => {
    const says = "sizes (--mtu was not asked for)";
    expect(wordsOf(reportOf([WELL[2]!]))).toContain(says);
    expect(wordsOf(reportOf([WELL[2]!]), true)).not.toContain(says);
  });

  test("what is going on while it waits", () => {
    expect(stepText({ share: 0.5, attempt: 1, last: null })).toBe("");
    const last = reportOf([PROBLEMS.refused, PROBLEMS.lost, WELL[0]!]);
    expect(stepText({ share: 0, attempt: 4, last })).toBe("attempt 4, before: refused, lost");
  });
});

describe("in JSON", () => {
  test("every field of the contract is there, and no other, whatever was found", () => {
    for (const result of [...WELL, ...Object.values(PROBLEMS)]) {
      expect(REPORT.parse(JSON.parse(jsonText(reportOf([result]))))).toBeTruthy();
    }
  });

  test("times end where clocks do", () => {
    const { seconds } = JSON.parse(jsonText(reportOf(WELL, { seconds: 1.23456789 })));
    expect(seconds).toBe(1.2346);
  });

  test("its shape is not any shape", () => {
    const right = JSON.parse(jsonText(reportOf([WELL[0]!])));
    const wrongs: ((report: typeof right) => void)[] = [
      (report) => delete report.results[0].hops,
      (report) => delete report.attempts,
      (report) => (report.results[0].more = 1),
      (report) => (report.results[0].lost = null),
      (report) => (report.ok = false),
      (report) => (report.results[0].ok = false),
      (report) => (report.startedAt = "yesterday"),
      (report) => (report.results[0].rttMs.min = 100),
    ];
    for (const wrong of wrongs) {
      const report = structuredClone(right);
      wrong(report);
      expect([wrong.toString(), REPORT.safeParse(report).success]).toEqual([wrong.toString(), false]);
    }
  });
});

describe("whatever a check finds", () => {
  // What came over the network (names of Pods, of nodes) may be anything.
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 150, size: "max" }),
    fc.lorem({ maxCount: 30 }),
  );
  const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary);
  const count = fc.nat();
  const ms = fc.double({ min: 0, max: 1e7, noNaN: true });
  const quantiles = fc.record({ min: ms, p50: ms, p99: ms, max: ms });
  const holes = fc.array(fc.tuple(count, count), { maxLength: 20 });
  const problem: fc.Arbitrary<Problem> = fc.record({
    code: fc.constantFrom(...PROBLEM_CODES),
    flow: maybe(text),
    says: text,
    likely: text,
    where: fc.constantFrom("path", "far_end", "this_machine"),
    next: maybe(text),
  });
  const note: fc.Arbitrary<Note> = fc.record({ code: fc.constantFrom(...NOTE_CODES), says: text });
  const server = fc.record({ server: maybe(text), pod: maybe(text), node: maybe(text), flows: count });
  const mtu = fc.record({
    there: maybe(count),
    back: maybe(count),
    largestThere: maybe(count),
    largestBack: maybe(count),
    holesThere: maybe(holes),
    holesBack: maybe(holes),
    fragmentsThere: maybe(fc.boolean()),
    fragmentsBack: maybe(fc.boolean()),
  });
  const result: fc.Arbitrary<CheckResult> = fc.record({
    target: text,
    protocol: fc.constantFrom("tcp", "udp"),
    name: text,
    address: maybe(text),
    port: fc.nat(65_535),
    ok: fc.boolean(),
    resolveMs: maybe(ms),
    flows: count,
    flowsAnswered: count,
    servers: maybe(fc.array(server, { maxLength: 20 })),
    source: fc.record({
      own: maybe(text),
      seen: maybe(fc.array(text)),
      addressTranslated: maybe(fc.boolean()),
      portTranslated: maybe(fc.boolean()),
    }),
    destination: fc.record({ asked: text, translated: maybe(fc.boolean()) }),
    connectMs: maybe(quantiles),
    firstByteMs: maybe(quantiles),
    rttMs: maybe(quantiles),
    sent: count,
    received: count,
    lost: count,
    duplicated: count,
    reordered: count,
    corrupted: count,
    foreign: count,
    synRetransmits: maybe(count),
    halfClose: maybe(fc.constantFrom("whole", "cut", "no_end")),
    bulkBytes: maybe(count),
    tcp: maybe(fc.record({ mss: count, retransmits: count, kernelRttMs: ms })),
    hops: maybe(fc.record({ there: fc.constant(null), back: count })),
    mtu: maybe(mtu),
    problems: fc.array(problem, { maxLength: 4 }),
    notes: fc.array(note, { maxLength: 6 }),
  });

  test("its report has no line over 100 columns, moves no cursor, and names every problem", () => {
    fc.assert(
      fc.property(fc.array(result, { minLength: 1, maxLength: 3 }), (results) => {
        const words = wordsOf(reportOf(results));
        expect(widest(words)).toBeLessThanOrEqual(WIDTH);
        expect(words).not.toMatch(/[^ -~\n]/);
        expect(words).not.toMatch(/undefined|NaN|\[object/);
        for (const { problems } of results)
          for (const { code } of problems) expect(words).toMatch(new RegExp(`^ {2}${code}:( |$)`, "m"));
      }),
      { numRuns: 100, endOnFailure: true }, // a smaller one is not easier to read
    );
  });

  test("what is wrapped is all there, in its order", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme-ascii", maxLength: 500, size: "max" }),
        fc.constantFrom("", "  head  "),
        (text, head) => {
          const lines = wrap(text, head);
          expect(lines.every((line) => line.length <= WIDTH)).toBe(true);
          const all = lines.map((line) => line.slice(head.length)).join("");
          expect(all.replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
        },
      ),
    );
  });

  test("a command that is longer than a line stays one command", () => {
    const command = `kubectl get endpointslices ${"-l a=b ".repeat(30)}`.trim();
    const lines = wrap(command, "    next  ", "            ", " \\");
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.slice(0, -1).every((line) => line.endsWith(" \\") && line.length <= WIDTH)).toBe(true);
    const pasted = Bun.spawnSync(["sh", "-c", lines.join("\n").replace("    next  ", "echo ")]);
    expect(pasted.stdout.toString()).toBe(`${command}\n`);
  });

  test("columns stand under their heads", () => {
    expect(
      align([
        ["", "min ms", "max s"],
        ["connect", "1", "12.3"],
      ]),
    ).toEqual(["         min ms  max s", "connect       1   12.3"]);
  });
});
