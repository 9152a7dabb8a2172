import { Deadline, timer } from "../client/deadlines.ts";
import { socketsRead } from "../client/wake.ts";
import { Stalls } from "./stalls.ts";

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
  /** What the thread must not block beyond. */
  readonly #deadline = new Deadline(Number.POSITIVE_INFINITY);
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
      if (this.#over) break;
      this.onAwake(performance.now());
      for (const job of this.#jobs.filter(({ dueMs }) => dueMs <= nowMs)) {
        job.dueMs += job.intervalMs * (Math.floor((nowMs - job.dueMs) / job.intervalMs) + 1);
        job.act(performance.now());
      }
    }
    this.#deadline.release();
  }

  end(): void {
    this.#over = true;
    this.#wake();
  }

  #nextMs(): number {
    return this.#jobs.reduce((next, { dueMs }) => Math.min(next, dueMs), Number.POSITIVE_INFINITY);
  }

  async #sleepUntil(dueMs: number): Promise<void> {
    this.#deadline.move(dueMs); // it lies in the past while the sockets are read: the thread must not block then
    const ms = dueMs - performance.now();
    if (ms <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const alarm = timer(ms, resolve);
    this.#wake = resolve;
    await promise;
    clearTimeout(alarm);
  }
}
