import { Stalls } from "./stalls.ts";

/** Timers count in 31 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

interface Job {
  readonly intervalMs: number;
  readonly act: (nowMs: number) => void;
  dueMs: number;
}

/**
 * What is due when, for all probes by one timer. Due times are counted from the first one, so they do not drift however
 * late each is. One that was missed while the process did not run is left out and not made up for in a burst.
 */
export class Agenda {
  readonly stalls = new Stalls();
  /** Called after each wake-up, when all that had come was read, and before anything due is done. */
  onAwake: (nowMs: number) => void = () => {};
  #jobs: Job[] = [];
  #wake = (): void => {};
  #over = false;

  /** Does something at `firstMs`, and each `intervalMs` after it. @returns what takes it off the agenda */
  every(firstMs: number, intervalMs: number, act: (nowMs: number) => void): () => void {
    const job = { intervalMs, act, dueMs: firstMs };
    this.#jobs.push(job);
    this.#wake();
    return () => {
      this.#jobs = this.#jobs.filter((other) => other !== job);
    };
  }

  /** Does something once. @returns what takes it off the agenda */
  at(atMs: number, act: (nowMs: number) => void): () => void {
    const cancel = this.every(atMs, Number.POSITIVE_INFINITY, (nowMs) => {
      cancel();
      act(nowMs);
    });
    return cancel;
  }

  /** What time it is, `performance.now()`. Whoever is called by a socket asks here, so that a stall is known at once. */
  now(): number {
    const nowMs = performance.now();
    this.stalls.ran(this.#nextMs(), nowMs);
    return nowMs;
  }

  /** Does what is due until `end`. */
  async run(): Promise<void> {
    while (!this.#over) {
      await this.#sleepUntil(this.#nextMs());
      const nowMs = this.now();
      await socketsRead();
      if (this.#over) return;
      this.onAwake(performance.now());
      for (const job of this.#jobs.filter(({ dueMs }) => dueMs <= nowMs)) {
        job.dueMs += job.intervalMs * (Math.floor((nowMs - job.dueMs) / job.intervalMs) + 1);
        job.act(performance.now());
      }
    }
  }

  end(): void {
    this.#over = true;
    this.#wake();
  }

  #nextMs(): number {
    return this.#jobs.reduce((next, { dueMs }) => Math.min(next, dueMs), Number.POSITIVE_INFINITY);
  }

  async #sleepUntil(dueMs: number): Promise<void> {
    const ms = dueMs - performance.now();
    if (ms <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(Math.ceil(ms), TIMER_MS_MAX));
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}

/** Until all that waits in the sockets now was read: Bun reads them after a turn's immediates, so at the next one's. */
async function socketsRead(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}
