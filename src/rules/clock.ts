const ORIGIN_MS = performance.timeOrigin;

/**
 * A loop's clock, read once per turn: milliseconds since the epoch, monotonic within a thread (a step of the wall
 * clock does not move it), and near enough the same in all threads for the budgets they share.
 */
export class Clock {
  nowMs = ORIGIN_MS + performance.now();

  /** Reads the clock anew and returns it. */
  tick(): number {
    this.nowMs = ORIGIN_MS + performance.now();
    return this.nowMs;
  }
}
