import type { CellResult } from "../run/types.ts";
import { exactness } from "../run/verdict.ts";

/** A column: its head, with the unit that all its figures have, and what it says of a cell. */
type Column = readonly [head: string, text: (result: CellResult) => string];

/** A table of its own: some columns, of the cells that have something to say in them. */
interface Group {
  readonly columns: (results: readonly CellResult[]) => readonly Column[];
  readonly of: (result: CellResult) => boolean;
}

/** Lines are not longer than this: a terminal beside an editor. */
const WIDTH_MAX = 100;

/** Where a column's longest time is above this, the column is in milliseconds. */
const MICROS_MAX = 100_000;

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
const orDash = (value: number | null | undefined, text: (value: number) => string): string =>
  value === null || value === undefined ? "-" : text(value);

const NAMES: readonly Column[] = [
  ["scenario", ({ cell }) => cell.scenario],
  ["what", ({ cell }) => describeShort(cell)],
];

const isIdle = ({ cell }: CellResult): boolean => cell.mode === "idle";

const GROUPS: readonly Group[] = [
  {
    columns: (results) => [
      ...(results.some(({ cell }) => cell.rate > 0)
        ? [["asked/s", ({ cell }: CellResult) => orDash(cell.rate || null, whole)] as const]
        : []),
      ["msg/s", ({ messagesPerSecond }) => whole(messagesPerSecond)],
      times(results, "p50", ({ roundTrip }) => roundTrip?.p50),
      times(results, "p90", ({ roundTrip }) => roundTrip?.p90),
      times(results, "p99", ({ roundTrip }) => roundTrip?.p99),
      times(results, "p99.9", ({ roundTrip }) => roundTrip?.p999),
      times(results, "max", ({ roundTrip }) => roundTrip?.max),
    ],
    of: (result) => !isIdle(result),
  },
  {
    columns: () => [
      ["errors", ({ errors }) => whole(errors)],
      ["lost", ({ lost }) => whole(lost)],
      ["dupl.", ({ duplicated }) => whole(duplicated)],
      ["reord.", ({ reordered }) => whole(reordered)],
      ["corrupt", ({ corrupted }) => whole(corrupted)],
      ["foreign", ({ foreign }) => whole(foreign)],
      ["late", ({ late }) => whole(late)],
      ["unsent", ({ notSent }) => whole(notSent)],
    ],
    of: (result) => !isIdle(result),
  },
  {
    columns: (results) => [
      ["MB/s", ({ megabytesPerSecond }) => megabytesPerSecond.toFixed(1)],
      ["server CPU us", ({ serverCpuMicros }) => orDash(serverCpuMicros, (v) => v.toFixed(2))],
      ["user us", ({ serverUserMicros }) => orDash(serverUserMicros, (v) => v.toFixed(2))],
      ["system us", ({ serverSystemMicros }) => orDash(serverSystemMicros, (v) => v.toFixed(2))],
      ["RSS MB", ({ serverRssMb }) => orDash(serverRssMb, (v) => v.toFixed(1))],
      ["load CPU %", ({ loadCpu }) => (loadCpu * 100).toFixed(0)],
      ...(results.some(({ sentLate }) => sentLate !== null)
        ? [times(results, "sent late p99", ({ sentLate }) => sentLate?.p99)]
        : []),
    ],
    of: (result) => !isIdle(result),
  },
  {
    columns: () => [
      ["errors", ({ errors }) => whole(errors)],
      ["memory B/session", ({ rssPerSession }) => orDash(rssPerSession, whole)],
      ["server CPU %", ({ idleCpu }) => orDash(idleCpu, (v) => (v * 100).toFixed(2))],
      ["RSS MB", ({ serverRssMb }) => orDash(serverRssMb, (v) => v.toFixed(1))],
    ],
    of: isIdle,
  },
];

/** A column of times: microseconds, or milliseconds where that would be long numbers. */
function times(
  results: readonly CellResult[],
  head: string,
  read: (result: CellResult) => number | undefined,
): Column {
  const long = results.some((result) => (read(result) ?? 0) >= MICROS_MAX);
  if (long) return [`${head} ms`, (result) => orDash(read(result), (us) => milliseconds(us / 1000))];
  return [`${head} us`, (result) => orDash(read(result), (us) => us.toFixed(0))];
}

/** Short times keep their digits beside long ones: `0.041`, `25.02`, `347.4`, `60,000`. */
function milliseconds(ms: number): string {
  return ms < 1000 ? ms.toFixed(ms < 10 ? 3 : ms < 100 ? 2 : 1) : whole(ms);
}

/** The size of a cell in a few words: `64 B, 1,000 conns`. */
export function describeCell(cell: CellResult["cell"]): string {
  const parts = cell.mode === "idle" ? [] : [size(cell.size)];
  parts.push(`${whole(cell.connections)} ${cell.protocol === "tcp" ? "conns" : "sockets"}`);
  if (cell.mode === "churn") parts[1] = `${cell.connections} at a time`;
  else if (cell.mode === "echo" && cell.inFlight > 1 && cell.rate === 0)
    parts.push(`${cell.inFlight} in flight`);
  if (cell.rate > 0) parts.push(`${whole(cell.rate)}/s`);
  return parts.join(", ");
}

/** The same, as short as a table needs it: `64 B x 1,000`; a rate has a column. */
function describeShort(cell: CellResult["cell"]): string {
  if (cell.mode === "idle") return `${whole(cell.connections)} conns`;
  const protocol = cell.scenario === "mixed" || cell.scenario === "scale" ? `${cell.protocol} ` : "";
  const deep = cell.mode === "echo" && cell.inFlight > 1 && cell.rate === 0;
  return `${protocol}${size(cell.size)} x ${whole(cell.connections)}${deep ? `, ${cell.inFlight} at once` : ""}`;
}

function size(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${whole(bytes)} B`;
}

/** The tables of a run, each with its heads first. */
export function tables(results: readonly CellResult[]): string[][][] {
  return GROUPS.flatMap(({ columns, of }) => {
    const cells = results.filter(of);
    if (cells.length === 0) return [];
    const all = [...NAMES, ...columns(cells)];
    return [[all.map(([head]) => head), ...cells.map((cell) => all.map(([, text]) => text(cell)))]];
  });
}

/** What a reader must know first, and then the figures. */
export function renderTables(results: readonly CellResult[], crossed: readonly string[]): string {
  return [
    [...verdictLines(results), ...crossed.map((line) => `FAILED ${line}`)].join("\n"),
    ...tables(results).map((rows) => fitColumns(rows)),
  ].join("\n\n");
}

/** Rows of cells in columns: the first two flush left, the others right. */
function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(rows);
  return rows
    .map((row) =>
      row
        .map((text, column) => (column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const columnWidths = (rows: readonly (readonly string[])[]): number[] =>
  rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));

/** The same, in as many tables as it takes to stay within `WIDTH_MAX`; each repeats the first two columns. */
export function fitColumns(rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(rows);
  const names = widths[0]! + 2 + widths[1]!;
  const parts: number[][] = [[]];
  let width = names;
  for (let column = 2; column < widths.length; column++) {
    width += 2 + widths[column]!;
    if (width > WIDTH_MAX && parts.at(-1)!.length > 0) {
      parts.push([]);
      width = names + 2 + widths[column]!;
    }
    parts.at(-1)!.push(column);
  }
  return parts
    .map((columns) => alignColumns(rows.map((row) => [row[0]!, row[1]!, ...columns.map((at) => row[at]!)])))
    .join("\n\n");
}

/** Is the run to be believed, and was it exact? In words, with each reason and each note. */
export function verdictLines(results: readonly CellResult[]): string[] {
  const exact = exactness(results);
  const name = ({ cell }: CellResult): string => `${cell.scenario} (${describeCell(cell)})`;
  const marked = results.filter((result) => result.exact !== true);
  const head =
    exact === true
      ? "EXACT: every byte that came back was compared, by position and content, and was right."
      : exact === false
        ? `NOT EXACT in ${marked.filter((result) => result.exact === false).length} of ${results.length} cells.`
        : results.length === 0
          ? "NOT MEASURED."
          : `NOT MEASURED in ${marked.length} of ${results.length} cells; nothing that came back was wrong.`;
  const why = marked.flatMap((result) =>
    result.reasons.map((reason) => `  ${result.exact === null ? "?" : "!"} ${name(result)}: ${reason}`),
  );
  return [head, ...why, ...together(results)];
}

/** Notes, each once, with the scenarios that it is about. */
function together(results: readonly CellResult[]): string[] {
  const about = new Map<string, Set<string>>();
  for (const { cell, notes } of results) {
    for (const note of notes) about.set(note, (about.get(note) ?? new Set()).add(cell.scenario));
  }
  return [...about].map(([note, scenarios]) => `  ${[...scenarios].join(", ")}: ${note}`);
}
