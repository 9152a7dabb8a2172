import { build, type Histogram } from "hdr-histogram-js";

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

/** Books a round trip. */
export function record(histogram: Histogram, micros: number): void {
  histogram.recordValue(micros < 1 ? 1 : micros > LONGEST_US ? LONGEST_US : Math.round(micros));
}

/** When each message of a session was sent, or should have been: a ring, as long as the most that can be under way. */
export class SendTimes {
  readonly #times: Float64Array;
  readonly #mask: number;

  constructor(underWayMax: number) {
    const length = 2 ** Math.ceil(Math.log2(Math.max(2, underWayMax)));
    this.#times = new Float64Array(length);
    this.#mask = length - 1;
  }

  set(message: number, ms: number): void {
    this.#times[message & this.#mask] = ms;
  }

  get(message: number): number {
    return this.#times[message & this.#mask]!;
  }
}
