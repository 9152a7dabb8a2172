import { MAPPED } from "../net/address.ts";

/** Words of the secret that one server's hashes are keyed with: two odd multipliers for each word of a key. */
export const SEED_WORDS = 10;

/** Places looked at for one key of a table, at most. At half load the longest run of a fair hash is about 60. */
export const PROBES_MAX = 128;

/**
 * A hash of five words that outsiders cannot aim: without the secret nobody finds keys that meet in one place. Each
 * word is mixed by two secret odd factors of its own and the five results are added. One factor would not do: a
 * difference in a word's top bit alone survives a multiplication unchanged whatever the factor is, so two words
 * could cancel each other; after the fold and the second factor it depends on the secret in 15 bits.
 */
export class KeyedHash {
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  readonly #k4: number;
  readonly #m0: number;
  readonly #m1: number;
  readonly #m2: number;
  readonly #m3: number;
  readonly #m4: number;

  /** @param seed `SEED_WORDS` secret words */
  constructor(seed: ArrayLike<number>) {
    const odd = (at: number): number => seed[at]! | 1;
    this.#k0 = odd(0);
    this.#k1 = odd(1);
    this.#k2 = odd(2);
    this.#k3 = odd(3);
    this.#k4 = odd(4);
    this.#m0 = odd(5);
    this.#m1 = odd(6);
    this.#m2 = odd(7);
    this.#m3 = odd(8);
    this.#m4 = odd(9);
  }

  /** Hashes an address and one more word: a signed 32-bit number, whose low bits are a place in a table. */
  of(a0: number, a1: number, a2: number, a3: number, last: number): number {
    let hash = 0;
    if (a2 !== MAPPED || a1 !== 0 || a0 !== 0) {
      // What all IPv4 addresses share tells none from another, and most are of that family: 2 ns less for those.
      hash = mix(a0, this.#k0, this.#m0);
      hash = (hash + mix(a1, this.#k1, this.#m1)) | 0;
      hash = (hash + mix(a2, this.#k2, this.#m2)) | 0;
    }
    hash = (hash + mix(a3, this.#k3, this.#m3)) | 0;
    hash = (hash + mix(last, this.#k4, this.#m4)) | 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x2c1b3c6d);
    return hash ^ (hash >>> 15);
  }
}

function mix(word: number, first: number, second: number): number {
  const product = Math.imul(word, first);
  return Math.imul(product ^ (product >>> 15), second);
}

/** A secret that nobody chose. */
export function randomSeed(): Int32Array {
  return crypto.getRandomValues(new Int32Array(SEED_WORDS));
}
