/** What to add to this thread's `performance.now()` to get the machine's monotonic clock, which all threads share. */
const ORIGIN_MS = monotonicMs() - performance.now();

function monotonicMs(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1000 + nanos / 1e6;
}

/**
 * A loop's clock, read once per turn: milliseconds of the machine's monotonic clock. A step of the wall clock does not
 * move it, and it is the same in all threads.
 */
export class Clock {
  nowMs = ORIGIN_MS + performance.now();

  /** Reads the clock anew and returns it. */
  tick(): number {
    this.nowMs = ORIGIN_MS + performance.now();
    return this.nowMs;
  }
}
