import { align, WIDTH, wrap } from "../layout.ts";
import type { Protocol } from "../result.ts";
import type { Cell, Way } from "./cell.ts";
import { OUTSIDE } from "./plan.ts";
import { wayText } from "./words.ts";

/** The cells as tables: rows from, columns to. */

/** Ways that share a table, and what stands above it. */
const TABLES: readonly { readonly ways: readonly Way[]; readonly title: string }[] = [
  { ways: ["pod"], title: wayText("pod") },
  { ways: ["name"], title: wayText("name") },
  { ways: ["service", "self"], title: "by a Service" },
  { ways: ["nodeport"], title: "by a node's port" },
];

/** From so many columns on each protocol has tables of its own. */
const MANY = 10;

/** Heads that are longer would make the table, not what stands in it: columns have numbers then. */
const HEAD_MAX = 12;

/** A row begins with no more: names of Pods and nodes may be longer than a line. */
const LABEL_MAX = 44;

const CORNER = "from / to";
const GAP = 2;
const NONE = ".";
const OPEN = "-";
const ITSELF = "itself";

/** A row of a table; `bad` where one of its cells fails. */
export interface MatrixLine {
  readonly text: string;
  readonly kind: "title" | "head" | "well" | "bad";
}

/** Every table that has a cell which was measured, no line over `WIDTH` columns. */
export function matrixLines(cells: readonly Cell[]): MatrixLine[] {
  return TABLES.flatMap(({ ways, title }) => {
    const its = cells.filter(({ way }) => ways.includes(way));
    if (its.every(({ ok }) => ok === null)) return [];
    // Members of a pool have neither names nor Services of their own: that is said once, and not in a column each.
    const isThere = (column: string): boolean =>
      ways.includes("pod") || its.some((cell) => columnOf(cell) === column && cell.ok !== null);
    const columns = columnsOf(its).filter(isThere);
    const together = columns.length < MANY ? table(its, columns, title, ["tcp", "udp"]) : null;
    if (together !== null && together.pieces === 1) return together.lines;
    return (["tcp", "udp"] as const).flatMap((protocol) => {
      const half = its.filter((cell) => cell.protocol === protocol);
      return table(half, columns, `${title}, ${protocol}`, [protocol]).lines;
    });
  });
}

/** Whom they ask: members in the order of the rows, then what is no member, then each itself. */
function columnsOf(cells: readonly Cell[]): string[] {
  const askers = [...new Set(cells.map(({ from }) => from))];
  const columns = [...new Set(cells.map(columnOf))];
  const members = askers.filter((from) => columns.includes(from));
  const others = columns.filter((column) => !askers.includes(column));
  return [
    ...members,
    ...others.filter((column) => column !== ITSELF),
    ...others.filter((column) => column === ITSELF),
  ];
}

function columnOf({ way, to }: Cell): string {
  return way === "self" ? ITSELF : to;
}

/** One table, in as many pieces as its width takes. */
function table(
  cells: readonly Cell[],
  columns: readonly string[],
  title: string,
  protocols: readonly Protocol[],
): { lines: MatrixLine[]; pieces: number } {
  const askers = [...new Map(cells.map((cell) => [cell.from, cell])).values()].filter(
    ({ from }) => from !== OUTSIDE || cells.some((cell) => cell.from === OUTSIDE && cell.ok !== null),
  );
  const numbered = columns.length >= MANY || columns.some((column) => column.length > HEAD_MAX);
  const numberOf = new Map(columns.map((column, at) => [column, `${at + 1}`]));
  const labels = askers.map(({ from, fromNode }) => {
    const label = fromNode === null ? from : `${from} (${fromNode})`;
    return shortened(numbered && numberOf.has(from) ? `${numberOf.get(from)} ${label}` : label);
  });
  const byPlace = new Map(cells.map((cell) => [`${cell.from} ${columnOf(cell)} ${cell.protocol}`, cell]));
  const rowOf = (from: string): (readonly (Cell | null)[])[] =>
    columns.map((column) =>
      protocols.map((protocol) => byPlace.get(`${from} ${column} ${protocol}`) ?? null),
    );
  const rows = askers.map(({ from }) => rowOf(from));
  const head = columns.map((column) => (numbered ? numberOf.get(column)! : column));
  const body = rows.map((row) => row.map(cellText));
  const widths = head.map((text, at) => Math.max(text.length, ...body.map((row) => row[at]!.length)));
  const first = Math.max(CORNER.length, ...labels.map((label) => label.length));
  const lines: MatrixLine[] = [
    { text: title, kind: "title" },
    ...(numbered ? legend(columns, askers) : []).map((text): MatrixLine => ({ text, kind: "head" })),
  ];
  const cuts = pieces(widths, WIDTH - first - GAP);
  for (const [from, to] of cuts) {
    const aligned = align([
      [`  ${CORNER}`, ...head.slice(from, to)],
      ...labels.map((label, at) => [`  ${label}`, ...body[at]!.slice(from, to)]),
    ]);
    lines.push(
      ...aligned.map(
        (text, at): MatrixLine => ({ text, kind: at === 0 ? "head" : toneOf(rows[at - 1]!.slice(from, to)) }),
      ),
    );
  }
  return { lines, pieces: cuts.length };
}

/** Where a column's number is no row's, its name has to be said. */
function legend(columns: readonly string[], askers: readonly Cell[]): string[] {
  const froms = new Set(askers.map(({ from }) => from));
  const others = columns.flatMap((column, at) => (froms.has(column) ? [] : [`${at + 1} ${column}`]));
  return others.length === 0 ? [] : wrap(others.join(", "), "  to ");
}

function shortened(label: string): string {
  return label.length <= LABEL_MAX ? label : `${label.slice(0, LABEL_MAX - 3)}...`;
}

function toneOf(row: readonly (readonly (Cell | null)[])[]): "well" | "bad" {
  return row.flat().some((cell) => cell?.ok === false) ? "bad" : "well";
}

/** Runs of columns that fit into `room` each, one column at least. */
function pieces(widths: readonly number[], room: number): [number, number][] {
  const found: [number, number][] = [];
  let from = 0;
  while (from < widths.length) {
    let to = from;
    let taken = GAP;
    while (to < widths.length && (to === from || taken + widths[to]! + GAP <= room))
      taken += widths[to++]! + GAP;
    found.push([from, to]);
    from = to;
  }
  return found;
}

/** `ok 0.12 / ok 0.10`; once where both are the same word without a figure. */
function cellText(cells: readonly (Cell | null)[]): string {
  const words = cells.map((cell) => (cell === null ? NONE : wordOf(cell)));
  return new Set(words).size === 1 && !words[0]!.includes(" ") ? words[0]! : words.join(" / ");
}

/** A word, and the round trip in ms where there was one. */
function wordOf({ ok, result }: Cell): string {
  if (ok === null) return OPEN;
  const word = ok ? "ok" : (result?.problems[0]?.code ?? "timeout");
  const ms = result?.rttMs?.p50;
  return ms === undefined ? word : `${word} ${figure(ms)}`;
}

/** Two digits that count: `0.12`, `1.3`, `45`. */
function figure(ms: number): string {
  if (ms >= 10) return ms.toFixed(0);
  return ms >= 1 ? ms.toFixed(1) : ms.toFixed(2);
}
