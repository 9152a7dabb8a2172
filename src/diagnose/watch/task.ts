import type { Task } from "../task.ts";
import type { EventLine, SummaryLine } from "./line.ts";
import type { StatusRow } from "./status.ts";
import { Watch, type WatchQuestion } from "./watch.ts";

export interface WatchInput extends WatchQuestion {
  /** Whether somebody looks at how each flow is. */
  readonly wantsStatus: boolean;
  /** In shared memory, one number: how often a summary so far was asked for. */
  readonly summariesAsked: Int32Array;
}

export type WatchEvent = { readonly line: EventLine | SummaryLine } | { readonly rows: readonly StatusRow[] };

/** Watches, tells what happens, and gives the last summaries. */
export const watchTask: Task<WatchInput, WatchEvent, SummaryLine[]> = (input, { sockets, signal, emit }) => {
  const { wantsStatus, summariesAsked, ...question } = input;
  const watch = new Watch(question, {
    sockets,
    emit: (line) => emit({ line }),
    status: wantsStatus ? (rows) => emit({ rows }) : null,
    summariesAsked: () => Atomics.load(summariesAsked, 0),
  });
  return watch.run(signal);
};
