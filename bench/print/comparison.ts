import type { Cell } from "../run/types.ts";
import { alignColumns, describeCell } from "./table.ts";

/** What was measured of one server in one cell, a number for each repetition. */
export interface Figures {
  /** Server CPU per message, microseconds. */
  readonly cpuMicros: number[];
  readonly messagesPerSecond: number[];
  readonly p99Micros: number[];
  /** Messages that were not exact, in all repetitions. */
  inexact: number;
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
  const wrong = figures.inexact > 0 ? "!" : "";
  return `${micros < 1 ? micros.toFixed(3) : micros.toFixed(2)}${Number.isNaN(ratio) ? "" : ` (${ratio.toFixed(2)}x)`}${wrong}`;
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
  const lines = [
    `Server CPU in microseconds per message (times ${comparison.floor}'s), median of ${comparison.repetitions}; lower is better.`,
    alignColumns([head, ...rows]),
    ...remarks(comparison),
  ];
  return lines.join("\n");
}

/** What a reader must know: who is absent, who was not measured and why, who was not exact. */
export function remarks({ cells, absent }: Comparison): string[] {
  const notes = cells.flatMap(({ cell, notes: own }) =>
    [...own].map(
      ([name, why]) => `${name}: not measured in ${cell.scenario} (${describeCell(cell)}): ${why}`,
    ),
  );
  const inexact = cells.flatMap(({ cell, figures }) =>
    [...figures]
      .filter(([, { inexact: count }]) => count > 0)
      .map(
        ([name, { inexact: count }]) =>
          `! ${name}: ${count} messages not exact in ${cell.scenario} (${describeCell(cell)})`,
      ),
  );
  return [...absent.map(({ name, why }) => `${name}: absent: ${why}`), ...notes, ...inexact];
}
