import { KeyedHash, PROBES_MAX } from "../state/hash.ts";
import { NO_SESSION } from "./reflectors.ts";
import { KEY_WORDS, ROW_ENDS, ROW_LENGTH, ROW_WORDS } from "./udp-rows.ts";

/**
 * Words of a session: its key (`udp-rows.ts`), whether it is trusted, and a double, when it was last active. Half a cache
 * line, so that a look-up which finds it has the time at hand that it sets.
 */
const SESSION_WORDS = 8;
const TRUSTED = KEY_WORDS;
const ACTIVE_BYTES = 24;
/** The same in doubles: how far one session's time is from the next's. */
const SESSION_DOUBLES = 4;

/** Sessions that are found by a glance, and how far a 32-bit number is shifted to be one of so many. */
const RECENT = 1024;
const RECENT_SHIFT = 22;
/** Odd, and its bits look random (the golden ratio's): what differs anywhere in a number differs in the product's top. */
const RECENT_FACTOR = 0x9e3779b1;

/** There is no place for a key: too many others have theirs where it would be looked for. */
export const NO_PLACE = -1;

/**
 * UDP sessions by their key, in flat arrays. A session is a small number; its place in the index holds the number + 1. No
 * session is PROBES_MAX places or more from where its hash wants it.
 *
 * The index of many sessions is larger than what the processor keeps at hand, so sessions that were trusted and looked up
 * lately are remembered by a number that costs less than the hash. It needs no secret: who makes two meet there makes
 * both be looked up the other way. What is remembered is believed only where the session has the key and is trusted.
 */
export class UdpTable {
  readonly hash: KeyedHash;
  /** Open addressing, 0 for free. Twice the sessions, so that runs stay short. */
  readonly #index: Int32Array;
  readonly #mask: number;
  /** SESSION_WORDS for each session. */
  readonly #words: Int32Array;
  /** When each session was last active, in milliseconds of the loop's clock, SESSION_DOUBLES apart. */
  readonly #activeMs: Float64Array;
  readonly #broughtBytes: Float64Array;
  readonly #recent = new Int32Array(RECENT);
  /** Numbers of ended sessions, a stack. They are used again before numbers that were never used. */
  readonly #freed: Int32Array;
  #freedCount = 0;
  #neverUsed = 0;

  /** @param broughtBytes by session, the bytes that it brought: `touchRecent` adds to it */
  constructor(
    sessions: number,
    seed: ArrayLike<number>,
    broughtBytes: Float64Array = new Float64Array(sessions),
  ) {
    this.#broughtBytes = broughtBytes;
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, sessions * 2)));
    this.#index = new Int32Array(places);
    this.#mask = places - 1;
    const memory = new ArrayBuffer(Math.max(1, sessions) * SESSION_WORDS * 4);
    this.#words = new Int32Array(memory);
    this.#activeMs = new Float64Array(memory, ACTIVE_BYTES);
    this.hash = new KeyedHash(seed);
    this.#freed = new Int32Array(sessions);
  }

  /**
   * The hot path of UDP: sets the time and adds to the bytes of each row's session (`udp-rows.ts`), from row `from` to `to`, up to the first row
   * whose session is not remembered or has the port `except`; returns its number. Nothing is called, so that the JIT
   * keeps all that does not change in registers.
   */
  touchRecent(rows: Int32Array, from: number, to: number, nowMs: number, except: number): number {
    const words = this.#words;
    const activeMs = this.#activeMs;
    const broughtBytes = this.#broughtBytes;
    const recent = this.#recent;
    let at = from;
    for (; at < to; at++) {
      const row = at * ROW_WORDS;
      const a3 = rows[row + 3]!;
      const ends = rows[row + ROW_ENDS]!;
      const session = recent[Math.imul(a3 ^ ends, RECENT_FACTOR) >>> RECENT_SHIFT]!;
      const key = session * SESSION_WORDS;
      const isIt =
        words[key + 4] === ends &&
        words[key + 3] === a3 &&
        words[key + 2] === rows[row + 2] &&
        words[key + 1] === rows[row + 1] &&
        words[key] === rows[row] &&
        words[key + TRUSTED] === 1 &&
        (ends & 0xffff) !== except;
      if (!isIt) break;
      activeMs[session * SESSION_DOUBLES] = nowMs;
      broughtBytes[session]! += rows[row + ROW_LENGTH]!;
    }
    return at;
  }

  /** Remembers the session of a row, if it has one that is trusted. False where it has none. */
  remember(rows: Int32Array, at: number): boolean {
    const row = at * ROW_WORDS;
    const a0 = rows[row]!;
    const a1 = rows[row + 1]!;
    const a2 = rows[row + 2]!;
    const a3 = rows[row + 3]!;
    const ends = rows[row + ROW_ENDS]!;
    const session = this.at(this.find(this.hash.of(a0, a1, a2, a3, ends), a0, a1, a2, a3, ends));
    if (session === NO_SESSION || !this.isTrusted(session)) return false;
    this.#recent[Math.imul(a3 ^ ends, RECENT_FACTOR) >>> RECENT_SHIFT] = session;
    return true;
  }

  /** Where the key with that hash is, or the free place where it would be; NO_PLACE after PROBES_MAX others. */
  find(hash: number, a0: number, a1: number, a2: number, a3: number, ends: number): number {
    const index = this.#index;
    const words = this.#words;
    const mask = this.#mask;
    let place = hash & mask;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const entry = index[place]!;
      if (entry === 0) return place;
      const key = (entry - 1) * SESSION_WORDS;
      if (
        words[key + 3] === a3 &&
        words[key + 4] === ends &&
        words[key + 2] === a2 &&
        words[key + 1] === a1 &&
        words[key] === a0
      ) {
        return place;
      }
      place = (place + 1) & mask;
    }
    return NO_PLACE;
  }

  /** The session at a place that `find` returned; NO_SESSION where there is none. */
  at(place: number): number {
    return place === NO_PLACE ? NO_SESSION : this.#index[place]! - 1;
  }

  /** Puts a new session into a free place and returns its number. There are never more than the constructor's. */
  add(place: number, a0: number, a1: number, a2: number, a3: number, ends: number): number {
    const session = this.#freedCount > 0 ? this.#freed[--this.#freedCount]! : this.#neverUsed++;
    const words = this.#words;
    const key = session * SESSION_WORDS;
    words[key] = a0;
    words[key + 1] = a1;
    words[key + 2] = a2;
    words[key + 3] = a3;
    words[key + 4] = ends;
    words[key + TRUSTED] = 0;
    this.#index[place] = session + 1;
    return session;
  }

  /** From here on the session's datagrams need no look of the rules. */
  trust(session: number): void {
    this.#words[session * SESSION_WORDS + TRUSTED] = 1;
  }

  isTrusted(session: number): boolean {
    return this.#words[session * SESSION_WORDS + TRUSTED] === 1;
  }

  touch(session: number, nowMs: number): void {
    this.#activeMs[session * SESSION_DOUBLES] = nowMs;
  }

  lastActiveMs(session: number): number {
    return this.#activeMs[session * SESSION_DOUBLES]!;
  }

  /**
   * Takes a session out, and moves up those after it that it kept from their place (TAOCP 3, 6.4 R).
   * @throws when it is not in the table: a number that is freed twice would be two sessions'
   */
  remove(session: number): void {
    const index = this.#index;
    const mask = this.#mask;
    let hole = this.#wantedPlace(session);
    while (index[hole] !== session + 1) {
      if (index[hole] === 0) throw new Error(`UDP session ${session} is not in the table`);
      hole = (hole + 1) & mask;
    }
    for (let place = (hole + 1) & mask; index[place] !== 0; place = (place + 1) & mask) {
      const wanted = this.#wantedPlace(index[place]! - 1);
      if (((place - wanted) & mask) >= ((place - hole) & mask)) {
        index[hole] = index[place]!;
        hole = place;
      }
    }
    index[hole] = 0;
    this.#words[session * SESSION_WORDS + TRUSTED] = 0;
    this.#freed[this.#freedCount++] = session;
  }

  #wantedPlace(session: number): number {
    const words = this.#words;
    const key = session * SESSION_WORDS;
    const hash = this.hash.of(
      words[key]!,
      words[key + 1]!,
      words[key + 2]!,
      words[key + 3]!,
      words[key + 4]!,
    );
    return hash & this.#mask;
  }

  /** Tells of every session; `end` removes it. */
  endEach(end: (session: number) => void): void {
    for (let place = 0; place <= this.#mask; ) {
      const entry = this.#index[place]!;
      if (entry === 0) place++;
      else end(entry - 1); // another may have moved into this place: look again
    }
  }
}
