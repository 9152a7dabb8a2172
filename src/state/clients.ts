import type { Address } from "../net/address.ts";
import type { TcpRefusal } from "./counters.ts";
import { KeyedHash, PROBES_MAX } from "./hash.ts";
import { CLIENT_ADDRESS_WORDS, lock, type SharedTables, unlock } from "./shared.ts";

/** A client's entry is not where it would be looked for, and there is no room for it. */
const NO_ENTRY = -1;

/** Why a client gets no further session. */
export type ClientRefusal = Extract<TcpRefusal, "max_sessions_per_client" | "client_table">;

/**
 * How many sessions each client address has, over all loops: an open-addressing table in shared memory, touched
 * under its lock at a session's start and end. An entry is the address and one count per loop, so that what a
 * dead loop held can be given back. All loops hash by one secret, and look at PROBES_MAX places for a client: the
 * lock is held for a bounded time whoever comes.
 */
export class ClientTable {
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #hash: KeyedHash;
  readonly #entryWords: number;
  readonly #mask: number;
  readonly #loops: number;

  constructor(tables: SharedTables) {
    this.#control = new Int32Array(tables.control);
    this.#words = new Int32Array(tables.clients);
    this.#hash = new KeyedHash(new Int32Array(tables.seed));
    this.#loops = tables.loops;
    this.#entryWords = CLIENT_ADDRESS_WORDS + tables.loops;
    this.#mask = this.#words.length / this.#entryWords - 1;
  }

  /** Books one more session of `client` in `loop`; or says why not: it has `max` already, or there is no room. */
  enter(client: Address, loop: number, max: number): ClientRefusal | null {
    lock(this.#control);
    try {
      const at = this.#find(client);
      if (at === NO_ENTRY) return "client_table";
      if (this.#count(at) >= max) return "max_sessions_per_client";
      const words = this.#words;
      words[at] = client.a0;
      words[at + 1] = client.a1;
      words[at + 2] = client.a2;
      words[at + 3] = client.a3;
      words[at + CLIENT_ADDRESS_WORDS + loop]! += 1;
      return null;
    } finally {
      unlock(this.#control);
    }
  }

  /** Gives one session of `client` in `loop` back. */
  leave(client: Address, loop: number): void {
    lock(this.#control);
    try {
      const at = this.#find(client);
      if (at === NO_ENTRY) return;
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
      const survivors = this.#survivorsOf(loop);
      this.#words.fill(0);
      for (const entry of survivors) this.#words.set(entry, this.#find(toAddress(entry)));
    } finally {
      unlock(this.#control);
    }
  }

  /**
   * Entries that other loops hold too, without what the dead one held. They begin after a free entry, so that each
   * finds its old place or one nearer to its home when they are put back in this order.
   */
  #survivorsOf(loop: number): number[][] {
    const size = this.#entryWords;
    let free = 0;
    while (this.#count(free * size) > 0) free++;
    const survivors: number[][] = [];
    for (let step = 1; step <= this.#mask; step++) {
      const at = ((free + step) & this.#mask) * size;
      this.#words[at + CLIENT_ADDRESS_WORDS + loop] = 0;
      if (this.#count(at) > 0) survivors.push([...this.#words.subarray(at, at + size)]);
    }
    return survivors;
  }

  #count(at: number): number {
    let count = 0;
    for (let loop = 0; loop < this.#loops; loop++) count += this.#words[at + CLIENT_ADDRESS_WORDS + loop]!;
    return count;
  }

  /** Where the entry of `client` is, or the free one where it would be; NO_ENTRY past the bound. */
  #find(client: Address): number {
    const words = this.#words;
    let entry = this.#home(client);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const at = entry * this.#entryWords;
      const same =
        words[at + 3] === client.a3 &&
        words[at + 2] === client.a2 &&
        words[at + 1] === client.a1 &&
        words[at] === client.a0;
      if (same || this.#count(at) === 0) return at;
      entry = (entry + 1) & this.#mask;
    }
    return NO_ENTRY;
  }

  #home({ a0, a1, a2, a3 }: Address): number {
    return this.#hash.of(a0, a1, a2, a3, 0) & this.#mask;
  }

  /** Frees an entry and moves up those after it that it kept from their place (Knuth, TAOCP 3, 6.4, algorithm R). */
  #erase(at: number): void {
    const words = this.#words;
    const size = this.#entryWords;
    let hole = at / size;
    for (
      let entry = (hole + 1) & this.#mask;
      this.#count(entry * size) > 0;
      entry = (entry + 1) & this.#mask
    ) {
      const wanted = this.#home(toAddress(words.subarray(entry * size, entry * size + 4)));
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
