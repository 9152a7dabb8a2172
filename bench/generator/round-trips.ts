import { build, type Histogram } from "hdr-histogram-js";
import { PATIENCE_MS } from "./job.ts";

/** The longest round trip that is told apart, in microseconds: a minute. */
const LONGEST_US = 60_000_000;

export function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  });
}

/** Books `count` like round trips. */
export function record(histogram: Histogram, micros: number, count: number): void {
  const value = micros < 1 ? 1 : micros > LONGEST_US ? LONGEST_US : Math.round(micros);
  histogram.recordValueWithCount(value, count);
}

/** Sending times are kept for so long where messages are sent at their times. */
const KEPT_MS = 5 * PATIENCE_MS;
/** Times kept by one Worker at most: 32 MB of them. */
const KEPT_MAX = 4_194_304;
/** Of a session, at least: one that is asked again while an answer is overdue. */
const KEPT_MIN = 16;

/** How many sending times a session keeps: `rate` messages a second over `sessions`, or `inFlight` on each. */
export function timesKept(rate: number, sessions: number, inFlight: number): number {
  const wanted = rate > 0 ? (rate / sessions) * (KEPT_MS / 1000) : inFlight;
  const length = 2 ** Math.ceil(Math.log2(Math.max(KEPT_MIN, wanted)));
  const most = 2 ** Math.floor(Math.log2(KEPT_MAX / sessions));
  return Math.max(KEPT_MIN, Math.min(length, most));
}

/** When each of the latest messages of a session was sent, or should have been: a ring. */
export class SendTimes {
  readonly length: number;
  readonly #times: Float64Array;
  readonly #mask: number;

  /** @param length a power of two */
  constructor(length: number) {
    this.length = length;
    this.#times = new Float64Array(length);
    this.#mask = length - 1;
  }

  set(message: number, ms: number): void {
    this.#times[message & this.#mask] = ms;
  }

  /** Of a message that is among the latest `length`. */
  get(message: number): number {
    return this.#times[message & this.#mask]!;
  }
}
