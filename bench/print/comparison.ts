import type { Cell } from "../run/types.ts";
import { exactness } from "../run/verdict.ts";
import { describeCell, fitColumns } from "./table.ts";

/** What was measured of one server in one cell, a number for each repetition. */
export interface Figures {
  /** Server CPU per message, microseconds. */
  readonly cpuMicros: number[];
  readonly messagesPerSecond: number[];
  readonly p99Micros: number[];
  /** Messages that were not exact, and messages that were late, in all repetitions. */
  inexact: number;
  late: number;
  /** Was it exact, and could that be measured? */
  readonly verdicts: (boolean | null)[];
  /** Why not, of all repetitions. */
  readonly reasons: string[];
}

export function noFigures(): Figures {
  return {
    cpuMicros: [],
    messagesPerSecond: [],
    p99Micros: [],
    inexact: 0,
    late: 0,
    verdicts: [],
    reasons: [],
  };
}

export interface ComparedCell {
  readonly cell: Cell;
  /** By server. */
  readonly figures: ReadonlyMap<string, Figures>;
  /** Why a server has no figures. */
  readonly notes: ReadonlyMap<string, string>;
}

export interface Comparison {
  readonly ours: string;
  readonly floor: string;
  readonly cells: readonly ComparedCell[];
  /** Servers that could not be had on this machine. */
  readonly absent: readonly { readonly name: string; readonly why: string }[];
  readonly repetitions: number;
}

/** The middle of some numbers; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((n) => !Number.isNaN(n)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** CPU per message over the floor's of the same repetition, the middle of all repetitions; NaN where one is missing. */
export function ratioToFloor({ figures }: ComparedCell, name: string, floor: string): number {
  const own = figures.get(name)?.cpuMicros ?? [];
  const below = figures.get(floor)?.cpuMicros ?? [];
  return median(own.map((micros, repetition) => micros / (below[repetition] ?? Number.NaN)));
}

/** Of one server over all cells: false if it was not exact in any, null if it could not be measured in any. */
export function exactnessOf({ cells }: Comparison, name: string): boolean | null {
  const verdicts = cells.flatMap(({ figures }) => figures.get(name)?.verdicts ?? [null]);
  return exactness(verdicts.map((exact) => ({ exact })));
}

/** Whether nothing on the machine was in the way in any measurement: only then do times and rates say something. */
export function machineWasQuiet({ cells }: Comparison): boolean {
  return cells.every(({ figures }) =>
    [...figures.values()].every(({ verdicts }) => !verdicts.includes(null)),
  );
}

/** `!` where it was not exact, `?` where that could not be measured. */
function mark({ verdicts }: Figures): string {
  return verdicts.includes(false) ? "!" : verdicts.includes(null) ? "?" : "";
}

/** The servers in the order in which they were measured, those absent last. */
export function serverNames({ ours, cells, absent }: Comparison): string[] {
  const measured = cells.flatMap(({ figures, notes }) => [...figures.keys(), ...notes.keys()]);
  return [...new Set([ours, ...measured, ...absent.map(({ name }) => name)])];
}

/** What stands in a cell of the tables. */
export function figureText(comparison: Comparison, compared: ComparedCell, name: string): string {
  if (comparison.absent.some((peer) => peer.name === name)) return "absent";
  const figures = compared.figures.get(name);
  if (figures === undefined) return "-";
  if (median(figures.messagesPerSecond) === 0) return "none exact";
  const micros = median(figures.cpuMicros);
  const ratio = ratioToFloor(compared, name, comparison.floor);
  return `${micros < 1 ? micros.toFixed(3) : micros.toFixed(2)}${Number.isNaN(ratio) ? "" : ` (${ratio.toFixed(2)}x)`}${mark(figures)}`;
}

/** Server CPU per message of all servers, with ratios to the floor, as a table. */
export function renderComparison(comparison: Comparison): string {
  const names = serverNames(comparison);
  const head = ["scenario", "what", ...names];
  const rows = comparison.cells.map((compared) => [
    compared.cell.scenario,
    describeCell(compared.cell),
    ...names.map((name) => figureText(comparison, compared, name)),
  ]);
  const ours = exactnessOf(comparison, comparison.ours);
  const verdict = ours === true ? "exact" : ours === null ? "NOT MEASURED in every cell" : "NOT EXACT";
  const lines = [
    `${comparison.ours}: ${verdict}.`,
    `Server CPU in microseconds per message (times ${comparison.floor}'s), median of ${comparison.repetitions}; lower is better.`,
    fitColumns([head, ...rows]),
    ...remarks(comparison),
  ];
  return lines.join("\n");
}

/** What a reader must know: who is absent, who was not measured and why, who was not exact, who was late. */
export function remarks({ cells, absent }: Comparison): string[] {
  const notes = cells.flatMap(({ cell, notes: own }) =>
    [...own].map(([name, why]) => `${name}: not measured in ${inWords(cell)}: ${why}`),
  );
  const marked = cells.flatMap(({ cell, figures }) =>
    [...figures].flatMap(([name, own]) => {
      const said = mark(own);
      const late = own.late > 0 ? [`${name}: ${own.late} answers late, and right, in ${inWords(cell)}`] : [];
      if (said === "") return late;
      const what = said === "!" ? `${own.inexact} messages not exact` : "not measured";
      const [why] = own.reasons;
      return [`${said} ${name}: ${what} in ${inWords(cell)}: ${why}`, ...late];
    }),
  );
  return [...absent.map(({ name, why }) => `${name}: absent: ${why}`), ...notes, ...marked];
}

function inWords(cell: Cell): string {
  return `${cell.scenario} (${describeCell(cell)})`;
}
