import type { Counts } from "./job.ts";
import { NumberSet } from "./number-set.ts";

/** The columns that a tracker counts in. */
export type Followed = Pick<Counts, "lost" | "duplicated" | "reordered" | "corrupted">;

/**
 * Follows the messages of one session by their numbers, 0, 1, 2 ... as they were sent. Counts as RTP receivers do
 * (RFC 3550, A.1): one that is ahead opens a gap, one that fills a gap was overtaken, one that fills none is a
 * duplicate. It knows neither sockets nor clocks: its owner reads the numbers and says what came. Each answer costs the
 * same time, however many are missing.
 */
export class MessageTracker {
  /** The number that is expected next. An owner that sees it come may step over it by itself (`next++`). */
  next = 0;
  readonly #counts: Followed;
  /** Below `next`, and not here. */
  readonly #missing = new NumberSet();
  /** Answers that another session got: not lost. */
  readonly #astray = new NumberSet();
  /** Answers so damaged that they have no number: each stands for one that is missing. */
  #unplaced = 0;
  /** Where `next` stood when it was last given up on, and the highest number that had come by then. */
  #givenUp = 0;
  #highestThen = -1;

  constructor(counts: Followed) {
    this.#counts = counts;
  }

  /**
   * A whole and right answer came, the one to message `number`, which was sent.
   * @returns whether it came for the first time
   */
  take(number: number): boolean {
    const highest = this.#highest();
    if (!this.#place(number)) {
      this.#counts.duplicated++;
      return false;
    }
    if (number < highest) this.#counts.reordered++;
    return true;
  }

  /** Something came that is not right; `number` says in place of which message, -1 where that cannot be told. */
  corrupt(number: number): void {
    this.#counts.corrupted++;
    if (number === -1) this.#unplaced++;
    else this.#place(number);
  }

  /** The answer to `number` went to another session, where it is counted. */
  astray(number: number): void {
    if (number >= this.next || this.#missing.has(number)) this.#astray.addRange(number, number + 1);
  }

  /** What was sent and did not come is not waited for any more; the next one sent is expected next. */
  giveUp(sent: number): void {
    this.#highestThen = this.#highest();
    this.#skipTo(sent);
    this.next = sent;
    this.#givenUp = sent;
  }

  /** How many of `sent` messages are under way: neither here, nor overtaken, nor given up. */
  waiting(sent: number): number {
    return sent - this.next - Math.max(0, this.#unplaced - this.#missing.size);
  }

  /** Whether any of `sent` messages has not come yet, and not been damaged either. */
  due(sent: number): boolean {
    return sent - this.next + this.#missing.size > this.#unplaced + this.#astray.size;
  }

  /** The end: what did not come until now, of `sent` messages, is lost. */
  finish(sent: number): void {
    this.giveUp(sent);
    const open = this.#missing.size - this.#missing.common(this.#astray) - this.#unplaced;
    this.#counts.lost += Math.max(0, open);
  }

  /** Whether something was still expected in that place. */
  #place(number: number): boolean {
    if (number >= this.next) {
      this.#skipTo(number);
      this.next = number + 1;
      return true;
    }
    if (!this.#missing.delete(number)) return false;
    if (number > this.#highest()) this.#highestThen = number;
    return true;
  }

  #highest(): number {
    return this.next > this.#givenUp ? this.next - 1 : this.#highestThen;
  }

  #skipTo(number: number): void {
    if (this.next < number) this.#missing.addRange(this.next, number);
  }
}
