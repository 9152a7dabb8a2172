/** What a load Worker is asked to do, and what it answers. Plain data: it crosses threads. */

export interface LoadJob {
  readonly protocol: "tcp" | "udp";
  /** `echo`: messages on lasting sessions; `churn`: a session for each message; `idle`: sessions that say nothing. */
  readonly mode: "echo" | "churn" | "idle";
  readonly host: string;
  readonly port: number;
  /** The target speaks first. */
  readonly banner: boolean;
  /** Sessions of this Worker; for churn, how many are under way at once. */
  readonly connections: number;
  /** Payload bytes of a message. */
  readonly size: number;
  /** Messages under way: per session for TCP, over all sessions for UDP. */
  readonly inFlight: number;
  /** Messages a second of this Worker, sent at their times whether answers come or not; 0: as fast as answers come. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Tells Workers apart: their payloads differ. */
  readonly seed: number;
  /** Shared numbers that the parent reads while the job runs (`LIVE`), and the word by which it ends it. */
  readonly live: SharedArrayBuffer;
}

/** Float64 columns of `live`, written by the Worker; the last is written by the parent. */
export const LIVE = { messages: 0, bytes: 1, sessions: 2, phase: 3, stop: 4, columns: 5 } as const;

/** What the Worker is doing, in `LIVE.phase`. */
export const PHASE = { connecting: 0, warmup: 1, measuring: 2, done: 3 } as const;

/** Columns that say how an echo was not exact. */
export interface Faults {
  /** Sessions that could not be opened, or broke. */
  errors: number;
  /** Messages that never came back. */
  lost: number;
  duplicated: number;
  /** Messages that came back behind a later one. */
  reordered: number;
  /** Bytes came back that were not sent, or not on this session. */
  corrupted: number;
}

export interface LoadResult extends Faults {
  readonly messages: number;
  readonly bytes: number;
  readonly seconds: number;
  /** CPU seconds of this Worker's thread over the measured time. */
  readonly loadCpuSeconds: number;
  /** Round trips in microseconds, as an encoded HdrHistogram. */
  readonly histogram: string;
}

export function noFaults(): Faults {
  return { errors: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
}
