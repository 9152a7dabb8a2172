/** Outcomes of a probability so close to each other count as equally likely (R's binom.test uses the same). */
const TIE = 1 + 1e-7;

/** How often something of a given chance happens in a number of independent trials, exactly. */
export class Binomial {
  readonly #trials: number;
  /** Of each count from 0 on, relative to the likeliest, so that nothing overflows. */
  readonly #weights: Float64Array;
  readonly #total: number;
  readonly #mode: number;

  /**
   * @param trials 0 or more
   * @param chance of each, above 0 and below 1
   */
  constructor(trials: number, chance: number) {
    this.#trials = trials;
    this.#mode = Math.min(trials, Math.floor((trials + 1) * chance));
    this.#weights = weightsOf(trials, chance, this.#mode);
    this.#total = this.#weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** The exact two-sided test: the chance of a count that is as unlikely as this one, or more. */
  pValue(count: number): number {
    const bound = this.#weights[count]! * TIE;
    const sum = this.#weights.reduce((tail, weight) => (weight <= bound ? tail + weight : tail), 0);
    return Math.min(1, sum / this.#total);
  }

  /** The counts, from the least to the most, whose p-value is `level` or more. */
  expected(level: number): readonly [least: number, most: number] {
    const accepted = (count: number): boolean => this.pValue(count) >= level;
    // The p-value falls on both sides of the likeliest count.
    return [
      firstOf(0, this.#mode, accepted),
      firstOf(this.#mode, this.#trials + 1, (count) => count > this.#trials || !accepted(count)) - 1,
    ];
  }
}

/** Each weight is made of its neighbour's: C(n, k+1) / C(n, k) is (n - k) / (k + 1). */
function weightsOf(trials: number, chance: number, mode: number): Float64Array {
  const weights = new Float64Array(trials + 1);
  const odds = chance / (1 - chance);
  weights[mode] = 1;
  for (let count = mode; count < trials; count++) {
    weights[count + 1] = (weights[count]! * odds * (trials - count)) / (count + 1);
  }
  for (let count = mode; count > 0; count--) {
    weights[count - 1] = (weights[count]! * count) / (odds * (trials - count + 1));
  }
  return weights;
}

/** The first number for which it holds; from there on it does to the end, and at `end` at the latest. */
function firstOf(start: number, end: number, holds: (number: number) => boolean): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
