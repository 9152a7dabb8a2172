import { SENT_BANNERS, type SharedTables } from "../state/shared.ts";
import { bannerBytesMax } from "./banner.ts";

const NEWLINE = 10;

/** The shortest banner without fields: a day of one digit, two ends of `[::]:1`, the empty line. */
const SHORTEST_BYTES = "Sun Jun 4 18:37:24 UTC 2023\nServer: [::]:1\nClient: [::]:1\n\n".length;

/**
 * Banners sent lately, by all loops: each is a second hash of it at the place of the first, so what is known is what
 * was sent byte for byte (except one in 2^32), and a newer banner takes an older one's place.
 */
export class SentBanners {
  readonly #hashes: Int32Array;
  readonly #shortest: number;
  readonly #longest: number;
  /** Two secret starts and factors: nobody makes a text that passes for another's banner. */
  readonly #start: number;
  readonly #otherStart: number;
  readonly #factor: number;
  readonly #otherFactor: number;
  /** A text under the hash: by words it takes a quarter of the time. */
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #place = 0;
  #other = 0;

  /** @param fields the banner's further lines */
  constructor(tables: SharedTables, fields: string) {
    this.#hashes = new Int32Array(tables.sentBanners);
    this.#longest = bannerBytesMax(fields);
    this.#shortest = SHORTEST_BYTES + new TextEncoder().encode(fields).length;
    this.#words = new Int32Array((this.#longest >> 2) + 1);
    this.#bytes = new Uint8Array(this.#words.buffer);
    const [start, otherStart, factor, otherFactor] = new Int32Array(tables.seed);
    this.#start = start!;
    this.#otherStart = otherStart!;
    this.#factor = factor! | 1;
    this.#otherFactor = otherFactor! | 1;
  }

  /** Whether a datagram of that length can be one: all that most datagrams are asked. */
  isLength(length: number): boolean {
    return length >= this.#shortest && length <= this.#longest;
  }

  /** Remembers the banner in the first `length` bytes, which is about to be sent. */
  add(bytes: Uint8Array, length: number): void {
    this.#hash(bytes, 0, length);
    this.#hashes[this.#place] = this.#other;
  }

  /** Whether the `length` bytes from `at` on are a banner that was sent lately. */
  has(bytes: Uint8Array, at: number, length: number): boolean {
    if (bytes[at + length - 1] !== NEWLINE || bytes[at + length - 2] !== NEWLINE) return false;
    this.#hash(bytes, at, length);
    return this.#hashes[this.#place] === this.#other;
  }

  #hash(bytes: Uint8Array, start: number, length: number): void {
    const words = this.#words;
    const factor = this.#factor;
    const otherFactor = this.#otherFactor;
    const last = length >> 2;
    words[last] = 0; // bytes after the text's end count as zeros
    this.#bytes.set(bytes.subarray(start, start + length));
    let hash = this.#start ^ length;
    let other = this.#otherStart ^ length;
    for (let at = 0; at <= last; at++) {
      const word = words[at]!;
      hash = Math.imul(hash ^ word, factor);
      hash ^= hash >>> 15;
      other = Math.imul(other ^ word, otherFactor);
      other ^= other >>> 17;
    }
    this.#place = hash & (SENT_BANNERS - 1);
    this.#other = other | 1; // 0 stands for none
  }
}
