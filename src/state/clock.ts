/**
 * What to add to this thread's `performance.now()` to get the clock of the main thread, which all threads go by. Bun
 * starts both `performance.now()` and `process.hrtime()` at 0 in each Worker.
 */
let originMs = 0;

/** Sets this thread's clock to that of the thread that has just said what time it is. To be called before any other use. */
export function setThreadClock(nowMs: number): void {
  originMs = nowMs - performance.now();
}

/**
 * A loop's clock, read once per turn: milliseconds since this process started, monotonic. A step of the wall clock does
 * not move it, and it is the same in all threads, to within the time that a message takes.
 */
export class Clock {
  nowMs = originMs + performance.now();

  /** Reads the clock anew and returns it. */
  tick(): number {
    this.nowMs = this.read();
    return this.nowMs;
  }

  /** What time it is just now, though the turn goes by `nowMs`. */
  read(): number {
    return originMs + performance.now();
  }
}
