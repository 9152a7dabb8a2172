import type { Faults } from "./job.ts";
import { isWindow } from "./payload.ts";

/** How far from the expected message one is looked for that came in its place. */
const SEARCH = 256;

/**
 * Follows the messages of one session: each has a number, and a size that all share. Counts as RTP receivers do
 * (RFC 3550, A.1): one that is ahead opens a gap, one that fills a gap is late, one that fills none is a duplicate.
 */
export class MessageTracker {
  /** The number that is expected next. */
  next = 0;
  readonly #start: number;
  readonly #size: number;
  readonly #faults: Faults;
  /** Messages that later ones overtook. */
  #missing: Set<number> | null = null;

  constructor(start: number, size: number, faults: Faults) {
    this.#start = start;
    this.#size = size;
    this.#faults = faults;
  }

  /**
   * Takes the message of `length` bytes at `address`; returns its number, or -1 where it is none of this session's
   * or came before. `sent` is how many were sent by now.
   */
  take(address: number, length: number, sent: number): number {
    if (length === this.#size && this.next < sent && this.#is(address, this.next)) return this.next++;
    return this.#takeOther(address, length, sent);
  }

  /** What was sent and did not come is not waited for any more; the next one sent is expected next. */
  giveUp(sent: number): void {
    this.#miss(sent);
    this.next = sent;
  }

  #miss(before: number): void {
    if (this.next < before) this.#missing ??= new Set();
    for (let gap = this.next; gap < before; gap++) this.#missing?.add(gap);
  }

  /** Whether any of `sent` messages has not come yet. */
  due(sent: number): boolean {
    return this.next < sent || (this.#missing?.size ?? 0) > 0;
  }

  /** The end: what did not come until now, of `sent` messages, is lost. */
  finish(sent: number): void {
    this.giveUp(sent);
    this.#faults.lost += this.#missing?.size ?? 0;
    this.#missing = null;
  }

  #takeOther(address: number, length: number, sent: number): number {
    const number = length === this.#size ? this.#find(address, sent) : -1;
    if (number === -1) {
      this.#faults.corrupted++;
      // A message that came back changed is not a lost one too: it takes the place of the one expected.
      if (this.next < sent) this.next++;
      return -1;
    }
    if (number >= this.next) {
      this.#miss(number);
      this.next = number + 1;
      return number;
    }
    if (this.#missing?.delete(number)) {
      this.#faults.reordered++;
      return number;
    }
    this.#faults.duplicated++;
    return -1;
  }

  #find(address: number, sent: number): number {
    for (let distance = 0; distance <= SEARCH; distance++) {
      const ahead = this.next + distance;
      if (ahead < sent && this.#is(address, ahead)) return ahead;
      const behind = this.next - distance;
      if (behind >= 0 && this.#is(address, behind)) return behind;
    }
    for (const number of this.#missing ?? []) if (this.#is(address, number)) return number;
    return -1;
  }

  #is(address: number, number: number): boolean {
    return isWindow(address, this.#start, number * this.#size, this.#size);
  }
}
