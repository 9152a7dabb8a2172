/**
 * Upper bounds of the histograms of round trips and connects, s: from 50 us, where two Pods of a node are, to 5 s. Each
 * bound is a series of each pair: with three histograms a peer (TCP's round trip and connect, UDP's round trip) sixteen
 * bounds keep to 70 series.
 */
export const TIME_BOUNDS_S = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
] as const;

/** Times counted by size, since the pair was assigned. */
export class TimeBuckets {
  /** Of each bound those that are not above it and above the one before; the last is of those above all. */
  readonly counts: number[] = new Array<number>(TIME_BOUNDS_S.length + 1).fill(0);
  sumSeconds = 0;

  add(ms: number): void {
    const seconds = Math.max(0, ms / 1000);
    const at = TIME_BOUNDS_S.findIndex((bound) => seconds <= bound);
    this.counts[at === -1 ? TIME_BOUNDS_S.length : at]!++;
    this.sumSeconds += seconds;
  }
}
