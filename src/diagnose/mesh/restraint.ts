/** So many connects in a row may be left behind at any pace; */
const LEFT_MAX = 4;

/** after them one goes each so often. Linux gives a connect up after 127 s: no more than 17 are left at once. */
const LEFT_EVERY_MS = 10_000;

/**
 * Holds back connects that could not be taken back. Bun's sockets keep the descriptor of a connect that was given up until
 * the system gives it up, and a peer that drops everything would gather two a second. Reads no clock.
 */
export class Restraint {
  readonly #canTakeBack: boolean;
  /** Given up one after another, none of them answered. */
  #left = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @param canTakeBack whether a connect that is given up is over at once: then nothing is held back */
  constructor(canTakeBack: boolean) {
    this.#canTakeBack = canTakeBack;
  }

  /** Whether one may go now; then it goes. */
  mayGo(nowMs: number): boolean {
    if (!this.#canTakeBack && this.#left >= LEFT_MAX && nowMs - this.#lastMs < LEFT_EVERY_MS) return false;
    this.#lastMs = nowMs;
    return true;
  }

  /** What became of one. @param wasGivenUp nothing at all came of it in time */
  ended(wasGivenUp: boolean): void {
    this.#left = wasGivenUp ? this.#left + 1 : 0;
  }
}
