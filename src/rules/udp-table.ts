import { KeyedHash, PROBES_MAX } from "../state/hash.ts";

/** Words of a session's key: the client's address (4), then its port in the low half and the local address's number. */
export const KEY_WORDS = 5;

/** There is no place for a key: too many others have theirs where it would be looked for. */
export const NO_PLACE = -1;

/**
 * UDP sessions by their key, in flat arrays. A session is a small number; its place in `index` holds the number + 1,
 * or that made negative while the session is set aside, so that a look-up which is only for the others stops at it.
 * No session is PROBES_MAX places or more from where its hash wants it.
 */
export class UdpTable {
  /** Open addressing, 0 for free. Twice the sessions, so that runs stay short. */
  readonly index: Int32Array;
  readonly mask: number;
  readonly keys: Int32Array;
  readonly hash: KeyedHash;
  readonly #hashes: Int32Array;
  /** Numbers of ended sessions, a stack. They are used again before numbers that were never used. */
  readonly #freed: Int32Array;
  #freedCount = 0;
  #neverUsed = 0;

  constructor(sessions: number, seed: ArrayLike<number>) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, sessions * 2)));
    this.index = new Int32Array(places);
    this.mask = places - 1;
    this.keys = new Int32Array(sessions * KEY_WORDS);
    this.hash = new KeyedHash(seed);
    this.#hashes = new Int32Array(sessions);
    this.#freed = new Int32Array(sessions);
  }

  /** Where the key with that hash is, or the free place where it would be; NO_PLACE after PROBES_MAX others. */
  find(hash: number, a0: number, a1: number, a2: number, a3: number, last: number): number {
    const { index, keys, mask } = this;
    let place = hash & mask;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const entry = index[place]!;
      if (entry === 0) return place;
      const key = (Math.abs(entry) - 1) * KEY_WORDS;
      if (
        keys[key + 3] === a3 &&
        keys[key + 4] === last &&
        keys[key + 2] === a2 &&
        keys[key + 1] === a1 &&
        keys[key] === a0
      ) {
        return place;
      }
      place = (place + 1) & mask;
    }
    return NO_PLACE;
  }

  /** Puts a new session into a free place and returns its number. There are never more than the constructor's. */
  add(place: number, hash: number, a0: number, a1: number, a2: number, a3: number, last: number): number {
    const session = this.#freedCount > 0 ? this.#freed[--this.#freedCount]! : this.#neverUsed++;
    const key = session * KEY_WORDS;
    this.keys[key] = a0;
    this.keys[key + 1] = a1;
    this.keys[key + 2] = a2;
    this.keys[key + 3] = a3;
    this.keys[key + 4] = last;
    this.#hashes[session] = hash;
    this.index[place] = session + 1;
    return session;
  }

  /**
   * Takes a session out, and moves up those after it that it kept from their place (TAOCP 3, 6.4 R).
   * @throws when it is not in the table: a number that is freed twice would be two sessions'
   */
  remove(session: number): void {
    const { index, mask } = this;
    let hole = this.#hashes[session]! & mask;
    while (Math.abs(index[hole]!) !== session + 1) {
      if (index[hole] === 0) throw new Error(`UDP session ${session} is not in the table`);
      hole = (hole + 1) & mask;
    }
    for (let place = (hole + 1) & mask; index[place] !== 0; place = (place + 1) & mask) {
      const wanted = this.#hashes[Math.abs(index[place]!) - 1]! & mask;
      if (((place - wanted) & mask) >= ((place - hole) & mask)) {
        index[hole] = index[place]!;
        hole = place;
      }
    }
    index[hole] = 0;
    this.#freed[this.#freedCount++] = session;
  }

  /** Tells of every session; `end` removes it. */
  endEach(end: (session: number) => void): void {
    for (let place = 0; place <= this.mask; ) {
      const entry = this.index[place]!;
      if (entry === 0) place++;
      else end(Math.abs(entry) - 1); // another may have moved into this place: look again
    }
  }
}
