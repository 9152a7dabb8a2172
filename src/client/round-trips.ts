/** The figures that are told of many times. All in ms. */
export interface Quantiles {
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Steps within a doubling: a quantile is off by 1/256 at most. */
const STEP_BITS = 7;
const STEPS = 2 ** STEP_BITS;

/** The shortest and longest times told apart: 2^-14 ms (61 ns) and 2^22 ms (70 minutes). */
const SHORTEST_EXPONENT = -14;
const LONGEST_EXPONENT = 22;
const SHORTEST_MS = 2 ** SHORTEST_EXPONENT;
const LONGEST_MS = 2 ** LONGEST_EXPONENT;

/** The first 11 bits of a double after its sign: its exponent, plus this (IEEE 754). */
const EXPONENT_BIAS = 1023;
const FIRST_STEP = (EXPONENT_BIAS + SHORTEST_EXPONENT) * STEPS;

const double = new DataView(new ArrayBuffer(8));

/**
 * Round trips of any number: counts by size, in logarithmic steps as an HdrHistogram has them, in 18 KB that never
 * grow. Minimum and maximum are exact. It is its own and no library because it is small, and the library would bring a
 * compressor and WebAssembly into the program.
 */
export class RoundTrips {
  readonly #counts = new Uint32Array((LONGEST_EXPONENT - SHORTEST_EXPONENT) * STEPS + 1);
  #count = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Books one; below 0 (a clock that went back) counts as 0. */
  add(ms: number): void {
    const time = Math.max(0, ms);
    this.#counts[stepOf(time)]!++;
    this.#count++;
    this.#min = Math.min(this.#min, time);
    this.#max = Math.max(this.#max, time);
  }

  /** Books all of another's. */
  addAll(other: RoundTrips): void {
    for (let step = 0; step < this.#counts.length; step++) this.#counts[step]! += other.#counts[step]!;
    this.#count += other.#count;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  /** The time that a share of all, 0 to 1, does not exceed (nearest rank); null without any. */
  quantile(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.min(this.#count, Math.max(1, Math.ceil(share * this.#count)));
    if (rank === 1) return this.#min;
    if (rank === this.#count) return this.#max;
    let step = -1;
    for (let seen = 0; seen < rank; ) seen += this.#counts[++step]!;
    return Math.min(this.#max, Math.max(this.#min, middleOf(step)));
  }

  /** Null without any. */
  quantiles(): Quantiles | null {
    const p50 = this.quantile(0.5);
    const p99 = this.quantile(0.99);
    return p50 === null || p99 === null ? null : { min: this.#min, p50, p99, max: this.#max };
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }
}

/** Exponent and first bits of the fraction of a double, taken as one number, rise by one from step to step. */
function stepOf(ms: number): number {
  double.setFloat64(0, Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ms)));
  return (double.getInt32(0) >>> (20 - STEP_BITS)) - FIRST_STEP;
}

function middleOf(step: number): number {
  if (step === 0) return SHORTEST_MS; // all that is shorter is there as well
  const exponent = SHORTEST_EXPONENT + Math.floor(step / STEPS);
  return 2 ** exponent * (1 + ((step % STEPS) + 0.5) / STEPS);
}
