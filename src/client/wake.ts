import { Deadline, timer } from "./deadlines.ts";

/** Wakes one who waits, when something has changed or when time is up. */
export class Wake {
  #waiting = false;
  #wake = (): void => {};

  /** Something has changed: who waits looks again. */
  notify(): void {
    this.#wake();
  }

  /**
   * Waits until `look` gives something else than null, and returns that; null when patience is at an end. `look` is
   * asked at once and after each `notify`. Before giving up it is asked once more, after the sockets were read: where
   * this process was late itself, what is there already is not called missing. @throws if another waits already
   */
  async until<T>(look: () => T | null, patience: Patience): Promise<T | null> {
    if (this.#waiting) throw new Error("one question at a time: another is waiting for its answer");
    this.#waiting = true;
    const deadline = new Deadline(patience.endMs);
    try {
      for (let last = false; ; ) {
        const found = look();
        const { leftMs } = patience;
        if (found !== null || (last && leftMs <= 0)) return found;
        last = leftMs <= 0;
        deadline.move(patience.endMs);
        await (last ? socketsRead() : this.#change(leftMs));
      }
    } finally {
      deadline.release();
      this.#waiting = false;
    }
  }

  async #change(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const alarm = timer(ms, resolve);
    this.#wake = resolve;
    await promise;
    clearTimeout(alarm);
  }
}

/** Until all that waits in the sockets now was read: Bun reads them after a turn's immediates, so at the next one's. */
export async function socketsRead(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** How long someone still waits, by the monotonic clock. */
export class Patience {
  readonly #ms: number;
  #endMs: number;

  /** @param ms from now on; Infinity waits for ever */
  constructor(ms: number) {
    this.#ms = ms;
    this.#endMs = performance.now() + ms;
  }

  /** When it is at an end, by `performance.now()`. */
  get endMs(): number {
    return this.#endMs;
  }

  get leftMs(): number {
    return this.#endMs - performance.now();
  }

  /** There was progress: all of the time again. */
  renew(): void {
    this.#endMs = performance.now() + this.#ms;
  }
}
