import type { CellResult } from "../run/types.ts";

/** A column: its head, and what it says of a cell. */
type Column = readonly [head: string, text: (result: CellResult) => string];

const micros = (value: number | undefined): string =>
  value === undefined ? "-" : value >= 10_000 ? `${(value / 1000).toFixed(1)} ms` : `${value} us`;
const thousands = (value: number): string =>
  value >= 1000 ? `${(value / 1000).toFixed(1)} k` : value.toFixed(0);
const orDash = (value: number | null, text: (value: number) => string): string =>
  value === null ? "-" : text(value);

const COLUMNS: readonly Column[] = [
  ["scenario", ({ cell }) => cell.scenario],
  ["what", ({ cell }) => describeCell(cell)],
  ["msg/s", ({ cell, messagesPerSecond }) => (cell.mode === "idle" ? "-" : thousands(messagesPerSecond))],
  ["MB/s", ({ cell, megabytesPerSecond }) => (cell.mode === "idle" ? "-" : megabytesPerSecond.toFixed(1))],
  ["p50", ({ roundTrip }) => micros(roundTrip?.p50)],
  ["p90", ({ roundTrip }) => micros(roundTrip?.p90)],
  ["p99", ({ roundTrip }) => micros(roundTrip?.p99)],
  ["p99.9", ({ roundTrip }) => micros(roundTrip?.p999)],
  ["max", ({ roundTrip }) => micros(roundTrip?.max)],
  ["errors", ({ errors }) => String(errors)],
  ["lost", ({ lost }) => String(lost)],
  ["dupl.", ({ duplicated }) => String(duplicated)],
  ["reord.", ({ reordered }) => String(reordered)],
  ["corrupt", ({ corrupted }) => String(corrupted)],
  [
    "server CPU",
    ({ serverCpuMicros, idleCpu }) =>
      idleCpu === null
        ? orDash(serverCpuMicros, (v) => `${v.toFixed(2)} us/msg`)
        : `${(idleCpu * 100).toFixed(2)} %`,
  ],
  [
    "server RSS",
    ({ serverRssMb, rssPerSession }) =>
      rssPerSession === null
        ? orDash(serverRssMb, (v) => `${v.toFixed(1)} MB`)
        : `${rssPerSession.toFixed(0)} B/session`,
  ],
  ["load CPU", ({ cell, loadCpu }) => (cell.mode === "idle" ? "-" : `${(loadCpu * 100).toFixed(0)} %`)],
];

/** The size of a cell in a few words: `64 B, 1,000 conns`. */
export function describeCell(cell: CellResult["cell"]): string {
  const parts = cell.mode === "idle" ? [] : [size(cell.size)];
  parts.push(`${cell.connections.toLocaleString("en-US")} ${cell.protocol === "tcp" ? "conns" : "sockets"}`);
  if (cell.mode === "churn") parts[1] = `${cell.connections} at a time`;
  else if (cell.mode === "echo" && cell.inFlight > 1 && cell.rate === 0)
    parts.push(`${cell.inFlight} in flight`);
  if (cell.rate > 0) parts.push(`${cell.rate.toLocaleString("en-US")}/s`);
  return parts.join(", ");
}

function size(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes.toLocaleString("en-US")} B`;
}

/** Heads first, then a row for each cell. */
export function tableRows(results: readonly CellResult[]): string[][] {
  return [COLUMNS.map(([head]) => head), ...results.map((result) => COLUMNS.map(([, text]) => text(result)))];
}

/** All cells as one aligned table, and below it what a reader must know before believing it. */
export function renderTable(results: readonly CellResult[]): string {
  return [alignColumns(tableRows(results)), ...remarks(results)].join("\n");
}

/** Rows of cells in columns: the first two flush left, the others right. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((text, column) => (column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Above this share of its core, load measures itself. */
const LOAD_BOUND = 0.95;

function remarks(results: readonly CellResult[]): string[] {
  const lines: string[] = [];
  const bound = results.filter(
    ({ cell, loadCpu }) => cell.rate === 0 && cell.mode !== "idle" && loadCpu > LOAD_BOUND,
  );
  if (bound.length > 0) {
    const names = [...new Set(bound.map(({ cell }) => cell.scenario))].join(", ");
    lines.push(
      `The load, not the server, was the limit in ${names}: believe server CPU there, not msg/s (or use --workers).`,
    );
  }
  const wrong = results.filter(
    (r) => r.errors + r.lost + r.duplicated + r.reordered + r.corrupted > 0,
  ).length;
  lines.push(
    wrong === 0
      ? "Every byte that came back was compared, by position and content: all were right."
      : `NOT EXACT in ${wrong} of ${results.length} cells: see the columns from errors to corrupt.`,
  );
  return lines;
}
