import { type Line, type Tone, wrap } from "../layout.ts";
import type { CheckReport, CheckResult, Problem, Where } from "../result.ts";
import { countText, plural, timeText } from "../words.ts";
import type { Step } from "./check.ts";
import { type Fact, factsOf, isTranslation } from "./facts.ts";
import type { CheckSettings } from "./plan.ts";
import { unmeasured } from "./unmeasured.ts";

/** What a check found, in words: first the verdict, then what it is made of, and at the end all in one line. */

/** What stands before a fact's text: its label. */
const LABEL_WIDTH = 15;

const WHERE: Readonly<Record<Where, string>> = {
  path: "the path",
  far_end: "the far end",
  this_machine: "this machine",
};

/**
 * A report in lines of at most `WIDTH` columns. Works on any report, whatever its figures.
 * @param asked what of it was asked for, where the results do not say so themselves
 */
export function reportLines(report: CheckReport, asked: Pick<CheckSettings, "mtu">): Line[] {
  const results = report.results.flatMap((result) => [...resultLines(result, asked.mtu), blank]);
  return [...results, ...summary(report)];
}

/** A report for scripts. Times are told to a tenth of a microsecond: the digits after that are of no clock. */
export function jsonText(report: CheckReport): string {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Math.round(value * 10_000) / 10_000 : value;
  return JSON.stringify(report, rounded, 2);
}

/** What is going on, beside the bar that shows how far it is. */
export function stepText({ attempt, last }: Step): string {
  return last === null ? "" : `attempt ${attempt}, before: ${codesOf(last.results).join(", ")}`;
}

/** One address by one protocol. */
function resultLines(result: CheckResult, mtuAsked: boolean): Line[] {
  const told = result.notes.filter((note) => note.code !== "not_measured" && !isTranslation(note));
  return [
    ...toned(wrap(`${titleOf(result)}: ${verdictOf(result)}`, "", "  "), result.ok ? "good" : "bad"),
    ...result.problems.flatMap(problemLines),
    ...factsOf(result).flatMap(factLines),
    ...toned(
      labelled(
        "note",
        told.map(({ says }) => says),
      ),
      "note",
    ),
    ...toned(labelled("not measured", unmeasured(result, mtuAsked)), "faint"),
  ];
}

/** `tcp 10.96.0.7:1234 (echo-server)` */
function titleOf({ protocol, name, address, port }: CheckResult): string {
  const host = address ?? name;
  const end = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return `${protocol} ${end}${address === null || sameHost(name, address) ? "" : ` (${name})`}`;
}

function sameHost(name: string, address: string): boolean {
  return name.toLowerCase() === address.toLowerCase();
}

/** `well`, or the code of each problem, once. */
function verdictOf(result: CheckResult): string {
  if (result.ok) return "well";
  return result.problems.length === 0 ? "not measured" : codesOf([result]).join(", ");
}

/** The codes of all problems, each once. */
function codesOf(results: readonly CheckResult[]): string[] {
  return [...new Set(results.flatMap(({ problems }) => problems.map(({ code }) => code)))];
}

function problemLines({ code, says, likely, where, flow, next }: Problem): Line[] {
  return [
    ...toned(wrap(`${code}: ${says}. Likely: ${likely}. Points at: ${WHERE[where]}.`, "  ", "    "), "bad"),
    ...(flow === null ? [] : toned(wrap(flow, "    flow  "), "plain")),
    ...(next === null ? [] : toned(wrap(next, "    next  ", " ".repeat(12), " \\"), "plain")),
  ];
}

function factLines({ label, lines, isTable }: Fact): Line[] {
  if (isTable !== true) return toned(labelled(label, lines), "plain");
  return toned(
    lines.map((line, at) => (at === 0 ? headOf(label) : headOf("")) + line),
    "plain",
  );
}

/** Texts under one label, each on a line of its own. */
function labelled(label: string, texts: readonly string[]): string[] {
  return texts.flatMap((text, at) => wrap(text, headOf(at === 0 ? label : "")));
}

function headOf(label: string): string {
  return `  ${label.padEnd(LABEL_WIDTH - 2)}`;
}

/** All results in one line. */
function summary({ results, seconds, attempts }: CheckReport): Line[] {
  const wrong = results.filter(({ ok }) => !ok);
  const took = `${timeText(seconds * 1000)}${attempts > 1 ? `, at attempt ${countText(attempts)}` : ""}`;
  const text =
    wrong.length === 0
      ? `all well: ${plural(results.length, "check")}, ${took}`
      : `${countText(wrong.length)} of ${plural(results.length, "check")} not well: ${codesOf(wrong).join(", ")}; ${took}`;
  return toned(wrap(text, "", "  "), wrong.length === 0 ? "good" : "bad");
}

const blank: Line = { text: "", tone: "plain" };

function toned(texts: readonly string[], tone: Tone): Line[] {
  return texts.map((text) => ({ text, tone }));
}
