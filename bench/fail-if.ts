import { duration, type Kind } from "../src/options/kinds.ts";
import { amount } from "./kinds.ts";
import type { CellResult } from "./run/types.ts";

/** Bounds that a run must not cross: `p99>5ms,lost>0,rate<10k`. */

/** A bound, as it was written. The run fails where it is true of a cell. */
export interface Bound {
  readonly text: string;
  readonly metric: string;
  readonly operator: Operator;
  /** Microseconds, messages, or messages a second. */
  readonly value: number;
}

const OPERATORS = {
  ">=": (a: number, b: number) => a >= b,
  "<=": (a: number, b: number) => a <= b,
  ">": (a: number, b: number) => a > b,
  "<": (a: number, b: number) => a < b,
} as const;

type Operator = keyof typeof OPERATORS;

/** Null where a cell has no such figure. */
type Read = (result: CellResult) => number | null;

const TIMES: Readonly<Record<string, Read>> = {
  p50: ({ roundTrip }) => roundTrip?.p50 ?? null,
  p90: ({ roundTrip }) => roundTrip?.p90 ?? null,
  p95: ({ roundTrip }) => roundTrip?.p95 ?? null,
  p99: ({ roundTrip }) => roundTrip?.p99 ?? null,
  "p99.9": ({ roundTrip }) => roundTrip?.p999 ?? null,
  max: ({ roundTrip }) => roundTrip?.max ?? null,
};

const AMOUNTS: Readonly<Record<string, Read>> = {
  errors: ({ errors }) => errors,
  lost: ({ lost }) => lost,
  late: ({ late }) => late,
  duplicated: ({ duplicated }) => duplicated,
  reordered: ({ reordered }) => reordered,
  corrupted: ({ corrupted }) => corrupted,
  foreign: ({ foreign }) => foreign,
  notSent: ({ notSent }) => notSent,
  rate: ({ cell, messagesPerSecond }) => (cell.mode === "idle" ? null : messagesPerSecond),
};

const METRICS = { ...TIMES, ...AMOUNTS };

/** A duration in microseconds, which may be as short as one. */
const micros: Kind<number> = {
  placeholder: "duration",
  allowed: "a duration such as 250us, 5ms or 1s",
  parse(text) {
    const match = /^(\d+(?:\.\d+)?)us$/.exec(text);
    if (match !== null) return Number(match[1]);
    const ms = /^(\d+(?:\.\d+)?)ms$/.exec(text);
    if (ms !== null) return Number(ms[1]) * 1000;
    const longer = duration({ minMs: 0 }).parse(text);
    return longer === undefined ? undefined : longer * 1000;
  },
};

const amounts = amount(0, 1_000_000_000);

/** Bounds, separated by commas. */
export const bounds: Kind<readonly Bound[]> = {
  placeholder: "bounds",
  allowed:
    `bounds such as 'p99>5ms,lost>0', of ${Object.keys(TIMES).join(", ")} with >, <, >=, <= and ${micros.allowed}, ` +
    `or of ${Object.keys(AMOUNTS).join(", ")} with a number such as 0, 500 or 20k`,
  namedInHelp: true,
  parse(text) {
    const read = text.split(",").map((part) => bound(part.trim()));
    return read.some((one) => one === undefined) ? undefined : (read as Bound[]);
  },
};

function bound(text: string): Bound | undefined {
  const match = /^([\w.]+)\s*(>=|<=|>|<)\s*(\S+)$/.exec(text);
  if (match === null) return undefined;
  const metric = match[1] === "p999" ? "p99.9" : match[1]!;
  if (!Object.hasOwn(METRICS, metric)) return undefined;
  const value = (Object.hasOwn(TIMES, metric) ? micros : amounts).parse(match[3]!);
  return value === undefined ? undefined : { text, metric, operator: match[2] as Operator, value };
}

/** The bounds that a cell crosses, each with what it had: `p99>5ms: it is 6.2 ms`. */
export function crossed(result: CellResult, wanted: readonly Bound[]): string[] {
  return wanted.flatMap(({ text, metric, operator, value }) => {
    const figure = METRICS[metric]!(result);
    if (figure === null || !OPERATORS[operator](figure, value)) return [];
    const said = Object.hasOwn(TIMES, metric)
      ? `${(figure / 1000).toFixed(3)} ms`
      : Math.round(figure).toLocaleString("en-US");
    return [`${text}: it is ${said}`];
  });
}
