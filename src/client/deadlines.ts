/**
 * The times that this thread waits for. A loop that blocks the thread between two turns of the JavaScript event loop
 * (`linux/reactor.ts`) asks here how long it may: a timer that is not booked is late by as long as such a loop blocks.
 */
const booked = new Set<Deadline>();

/** The earliest of them; NaN where it must be looked for. */
let earliestMs = Number.POSITIVE_INFINITY;

/** A time that somebody waits for, from its making until `release`. */
export class Deadline {
  #atMs: number;

  /** @param atMs by `performance.now()`; Infinity for none */
  constructor(atMs: number) {
    this.#atMs = atMs;
    booked.add(this);
    earliestMs = Math.min(earliestMs, atMs);
  }

  get atMs(): number {
    return this.#atMs;
  }

  /** It is another time now. */
  move(atMs: number): void {
    if (atMs === this.#atMs) return;
    if (atMs < this.#atMs) earliestMs = Math.min(earliestMs, atMs);
    else if (this.#atMs <= earliestMs) earliestMs = Number.NaN;
    this.#atMs = atMs;
  }

  /** Nobody waits for it any more. */
  release(): void {
    booked.delete(this);
    if (this.#atMs <= earliestMs) earliestMs = Number.NaN;
  }
}

/** When this thread's JavaScript must go on at the latest, by `performance.now()`; Infinity where nothing is booked. */
export function nextDeadlineMs(): number {
  if (Number.isNaN(earliestMs)) {
    earliestMs = Number.POSITIVE_INFINITY;
    for (const { atMs } of booked) earliestMs = Math.min(earliestMs, atMs);
  }
  return earliestMs;
}

/** Timers count in 31 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls back in `ms`, rounded up, unless it is cleared before; in no more than 24 days. It is not booked. */
export function timer(ms: number, callback: () => void): Timer {
  return setTimeout(callback, Math.min(Math.max(0, Math.ceil(ms)), TIMER_MS_MAX));
}

/**
 * Waits for `ms` at least, or until the signal aborts; not at all where `ms` is 0 or less. Never throws. In a thread
 * whose loop is the reactor's, this is in time, and `Bun.sleep` is not.
 */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const deadline = new Deadline(performance.now() + ms);
  const alarm = timer(ms, resolve);
  const wake = (): void => resolve();
  signal?.addEventListener("abort", wake);
  await promise;
  signal?.removeEventListener("abort", wake);
  clearTimeout(alarm);
  deadline.release();
}
