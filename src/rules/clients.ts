import type { Address } from "./address.ts";
import { CLIENT_ADDRESS_WORDS, lock, type SharedTables, unlock } from "./shared.ts";

/**
 * How many sessions each client address has, over all loops: an open-addressing table in shared memory, touched
 * under its lock at a session's start and end. An entry is the address and one count per loop, so that what a
 * dead loop held can be given back.
 */
export class ClientTable {
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #entryWords: number;
  readonly #mask: number;
  readonly #loops: number;

  constructor(tables: SharedTables) {
    this.#control = new Int32Array(tables.control);
    this.#words = new Int32Array(tables.clients);
    this.#loops = tables.loops;
    this.#entryWords = CLIENT_ADDRESS_WORDS + tables.loops;
    this.#mask = this.#words.length / this.#entryWords - 1;
  }

  /** Books one more session of `client` in `loop`; false, and nothing booked, if it has `max` already. */
  enter(client: Address, loop: number, max: number): boolean {
    lock(this.#control);
    try {
      const at = this.#find(client);
      if (this.#count(at) >= max) return false;
      const words = this.#words;
      words[at] = client.a0;
      words[at + 1] = client.a1;
      words[at + 2] = client.a2;
      words[at + 3] = client.a3;
      words[at + CLIENT_ADDRESS_WORDS + loop]! += 1;
      return true;
    } finally {
      unlock(this.#control);
    }
  }

  /** Gives one session of `client` in `loop` back. */
  leave(client: Address, loop: number): void {
    lock(this.#control);
    try {
      const at = this.#find(client);
      const counter = at + CLIENT_ADDRESS_WORDS + loop;
      if (this.#words[counter]! > 0) this.#words[counter]! -= 1;
      if (this.#count(at) === 0) this.#erase(at);
    } finally {
      unlock(this.#control);
    }
  }

  /** Gives back all that a dead loop held. */
  forgetLoop(loop: number): void {
    lock(this.#control);
    try {
      const survivors: number[][] = [];
      for (let at = 0; at < this.#words.length; at += this.#entryWords) {
        this.#words[at + CLIENT_ADDRESS_WORDS + loop] = 0;
        if (this.#count(at) > 0) survivors.push([...this.#words.subarray(at, at + this.#entryWords)]);
      }
      this.#words.fill(0);
      for (const entry of survivors) this.#words.set(entry, this.#find(toAddress(entry)));
    } finally {
      unlock(this.#control);
    }
  }

  #count(at: number): number {
    let count = 0;
    for (let loop = 0; loop < this.#loops; loop++) count += this.#words[at + CLIENT_ADDRESS_WORDS + loop]!;
    return count;
  }

  /** Where the entry of `client` is, or the free one where it would be. */
  #find(client: Address): number {
    const words = this.#words;
    for (let entry = home(client) & this.#mask; ; entry = (entry + 1) & this.#mask) {
      const at = entry * this.#entryWords;
      const same =
        words[at + 3] === client.a3 &&
        words[at + 2] === client.a2 &&
        words[at + 1] === client.a1 &&
        words[at] === client.a0;
      if (same || this.#count(at) === 0) return at;
    }
  }

  /** Frees an entry and moves up those behind it that it kept from their place (Knuth, TAOCP 3, 6.4, algorithm R). */
  #erase(at: number): void {
    const words = this.#words;
    const size = this.#entryWords;
    let hole = at / size;
    for (
      let entry = (hole + 1) & this.#mask;
      this.#count(entry * size) > 0;
      entry = (entry + 1) & this.#mask
    ) {
      const wanted = home(toAddress(words.subarray(entry * size, entry * size + 4))) & this.#mask;
      if (((entry - wanted) & this.#mask) >= ((entry - hole) & this.#mask)) {
        words.copyWithin(hole * size, entry * size, (entry + 1) * size);
        hole = entry;
      }
    }
    words.fill(0, hole * size, (hole + 1) * size);
  }
}

function toAddress(words: ArrayLike<number>): Address {
  return { a0: words[0]!, a1: words[1]!, a2: words[2]!, a3: words[3]! };
}

function home({ a0, a1, a2, a3 }: Address): number {
  let hash = Math.imul(a3, 0x9e3779b1) ^ Math.imul(a1, 0x85ebca6b) ^ Math.imul(a0 ^ a2, 0xc2b2ae35);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}
