/** What a load Worker is asked to do, and what it answers. Plain data: it crosses threads. */

export interface LoadJob {
  readonly protocol: "tcp" | "udp";
  /** `echo`: messages on lasting sessions; `churn`: a session for each message; `idle`: sessions that say nothing. */
  readonly mode: "echo" | "churn" | "idle";
  readonly host: string;
  readonly port: number;
  /** The address that sessions come from; null: as the system chooses. */
  readonly source: string | null;
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
  /** Messages after which the measured time ends, if it has not before; 0: no such number. */
  readonly requests: number;
  /** Tells runs apart: all Workers of a run send the same random bytes, no other run does. */
  readonly seed: number;
  /** The identity of this Worker's first session; they count up from there, and no two of a run are alike. */
  readonly firstIdentity: number;
  /** Shared numbers that the parent reads while the job runs (`LIVE`), and the word by which it ends it. */
  readonly live: SharedArrayBuffer;
}

/** Float64 columns of `live`, written by the Worker; the last is written by the parent. */
export const LIVE = { messages: 0, bytes: 1, sessions: 2, phase: 3, stop: 4, columns: 5 } as const;

/** What the Worker is doing, in `LIVE.phase`. */
export const PHASE = { connecting: 0, warmup: 1, measuring: 2, done: 3 } as const;

/** An answer that comes later than this is late. */
export const PATIENCE_MS = 2000;

/** What is counted beside right answers, from the first message on, warm-up included. */
export interface Counts {
  /** Sessions that could not be opened, or broke. */
  errors: number;
  /** Messages that were sent and never came back. */
  lost: number;
  duplicated: number;
  /** Messages that came back behind a later one. */
  reordered: number;
  /** Bytes came back that were not sent. */
  corrupted: number;
  /** Messages that came back to another session than the one that sent them. */
  foreign: number;
  /** Messages that came back right, but more than `PATIENCE_MS` after they were due. */
  late: number;
  /** Messages whose time had come and that were not sent: nobody took them, or the load was too slow. */
  notSent: number;
}

/** The columns that say that an echo was not exact. */
export const FAULTS = ["errors", "lost", "duplicated", "reordered", "corrupted", "foreign"] as const;

export interface LoadResult extends Counts {
  /** Answers within the measured time. */
  readonly messages: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Messages that were sent in all, warm-up included. */
  readonly sent: number;
  /** Answers so late that their sending time was forgotten; they are in the histogram with the least they can have taken. */
  readonly untimed: number;
  /** Messages among those not sent that the load was too slow for. */
  readonly behind: number;
  /** Foreign answers whose own session is another Worker's, which misses them. */
  readonly strays: number;
  /** Datagrams that came when a socket of ours was full. */
  readonly overflowed: number;
  /** CPU seconds of this Worker's thread over the measured time, and seconds in which it waited for a core. */
  readonly loadCpuSeconds: number;
  readonly loadWaitSeconds: number;
  /** Round trips in microseconds, as an encoded HdrHistogram. */
  readonly histogram: string;
  /** How long after their time messages were sent, likewise; null where they have no time. */
  readonly lateness: string | null;
  /** What went wrong first, in words. */
  readonly problem: string | null;
}

export function noCounts(): Counts {
  return {
    errors: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    foreign: 0,
    late: 0,
    notSent: 0,
  };
}
