import Histogram from "prom-client/lib/histogram.js";
import { TIME_BOUNDS_S, type TimeBuckets } from "../../diagnose/mesh/buckets.ts";

/** The times of one pair. */
export interface PairTimes {
  readonly labels: Readonly<Record<string, string>>;
  readonly times: TimeBuckets;
}

/** A histogram whose buckets were counted elsewhere: prom-client's own can only be given one value after another. */
export class PairHistogram extends Histogram<string> {
  readonly #about: { readonly name: string; readonly help: string };
  readonly #read: () => readonly PairTimes[];

  /** @param read asked at each scrape */
  constructor(name: string, help: string, labelNames: readonly string[], read: () => readonly PairTimes[]) {
    super({ name, help, labelNames: [...labelNames], buckets: [...TIME_BOUNDS_S], registers: [] });
    this.#about = { name, help };
    this.#read = read;
  }

  /** The registry calls this at a scrape. prom-client's types leave it out. */
  async getForPromString(): Promise<object> {
    const { name } = this.#about;
    return {
      ...this.#about,
      type: "histogram",
      values: this.#read().flatMap((pair) => seriesOf(name, pair)),
    };
  }
}

function seriesOf(name: string, { labels, times }: PairTimes): object[] {
  let count = 0;
  const buckets = [...TIME_BOUNDS_S, "+Inf"].map((le, at) => {
    count += times.counts[at]!; // a bucket holds all that is not above it
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: times.sumSeconds },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
