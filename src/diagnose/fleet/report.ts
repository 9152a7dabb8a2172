import { type Line, type Tone, wrap } from "../layout.ts";
import { listText, plural, timeText } from "../words.ts";
import type { Cell } from "./cell.ts";
import { type MatrixLine, matrixLines } from "./matrix.ts";
import { OUTSIDE } from "./plan.ts";
import { verdictsText } from "./problems.ts";
import type { FleetProblem, FleetReport } from "./result.ts";
import { wayText } from "./words.ts";

/** What was found of a fleet, in words: the widest problem first, then the matrix, then every problem once. */

const TONES: Readonly<Record<MatrixLine["kind"], Tone>> = {
  title: "plain",
  head: "faint",
  well: "plain",
  bad: "bad",
};

const WHERE = { path: "the path", far_end: "the far end", this_machine: "the one who asks" } as const;

/** A report in lines of at most `WIDTH` columns. */
export function reportLines(report: FleetReport): Line[] {
  const { cells, problems, notes } = report;
  const matrix = matrixLines(cells).map(({ text, kind }): Line => ({ text, tone: TONES[kind] }));
  const explained = "tcp / udp; the figures are round trips, p50 in ms; - is not measured";
  return [
    ...toned(wrap(verdict(report), "", "  "), report.ok ? "good" : "bad"),
    ...(matrix.length === 0 ? [] : [blank, ...matrix, { text: explained, tone: "faint" as const }]),
    ...problems.flatMap((problem) => [blank, ...problemLines(problem, cells)]),
    ...section("not measured", notMeasured(cells)),
    ...section("note", notes),
  ];
}

/** A report for scripts; times to a tenth of a microsecond. */
export function jsonText(report: FleetReport): string {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" ? Math.round(value * 10_000) / 10_000 : value;
  return JSON.stringify(report, rounded, 2);
}

/** All of it in one line. */
function verdict({ ok, cells, problems, namespace, seconds }: FleetReport): string {
  const [first] = problems;
  const more = problems.length > 1 ? `; and ${plural(problems.length - 1, "more problem")}` : "";
  if (first !== undefined) return `not well: ${first.says}${more}`;
  const where = `namespace ${namespace}, ${timeText(seconds * 1000)}`;
  const asked = cells.filter((cell) => cell.ok !== null);
  if (!ok) return `nothing was measured (${where})`;
  if (cells.length === 0) return `nothing to ask: no question failed before (${where})`;
  const silent = silentAskers(cells);
  const how =
    silent.length === 0
      ? "all well"
      : `well as far as it was measured, which ${listText(silent)} could not be asked for`;
  const servers = new Set(asked.map(({ from }) => from).filter((from) => from !== OUTSIDE));
  const nodes = new Set(asked.flatMap(({ fromNode }) => (fromNode === null ? [] : [fromNode])));
  const outside = asked.some(({ from }) => from === OUTSIDE) ? " and from outside" : "";
  const askers =
    servers.size === 0 ? "" : ` from ${plural(servers.size, "server")} on ${plural(nodes.size, "node")}`;
  return `${how}: ${plural(asked.length, "question")}${askers}${outside}; ${where}`;
}

/** Members that answered nothing at all of what they were to ask. */
function silentAskers(cells: readonly Cell[]): string[] {
  const askers = [...new Set(cells.map(({ from }) => from))].filter((from) => from !== OUTSIDE);
  return askers.filter((from) => cells.every((cell) => cell.from !== from || cell.ok === null));
}

function problemLines(
  { code, says, likely, where, flow, next, cells }: FleetProblem,
  all: readonly Cell[],
): Line[] {
  const counts = verdictsText(cells.map((at) => all[at]!));
  return [
    ...toned(
      wrap(`${code}: ${says} (${counts}). Likely: ${likely}. Points at: ${WHERE[where]}.`, "", "  "),
      "bad",
    ),
    ...(flow === null ? [] : toned(wrap(flow, "  flow  "), "plain")),
    ...(next === null ? [] : toned(wrap(next, "  next  ", " ".repeat(10), " \\"), "plain")),
  ];
}

/** What could not be asked, by why. */
function notMeasured(cells: readonly Cell[]): string[] {
  const byWhy = Map.groupBy(
    cells.filter(({ ok }) => ok === null),
    ({ why }) => why ?? "not known",
  );
  return [...byWhy].map(([why, its]) => `${whichText(its)}: ${why}`);
}

/** Cells by what they share: `from server2`, `outside by Pod address, by name`. */
function whichText(cells: readonly Cell[]): string {
  const only = <T>(values: readonly T[]): T | null => (new Set(values).size === 1 ? values[0]! : null);
  const from = only(cells.map((cell) => cell.from));
  const ways = [...new Set(cells.map(({ way }) => wayText(way)))];
  const protocol = only(cells.map((cell) => cell.protocol));
  const to = cells.every(({ way }) => way === "self") ? "itself" : only(cells.map((cell) => cell.to));
  const parts = [
    from === null ? plural(cells.length, "question") : `from ${from}`,
    ...(to === null ? [] : [`to ${to}`]),
    ...(ways.length > 2 ? [] : [listText(ways)]),
    ...(protocol === null || cells.length === 1 ? [] : [protocol]),
  ];
  return parts.join(" ");
}

function section(label: string, texts: readonly string[]): Line[] {
  if (texts.length === 0) return [];
  return [
    blank,
    ...toned(
      texts.flatMap((text) => wrap(text, `${label}  `)),
      "faint",
    ),
  ];
}

const blank: Line = { text: "", tone: "plain" };

function toned(texts: readonly string[], tone: Tone): Line[] {
  return texts.map((text) => ({ text, tone }));
}
