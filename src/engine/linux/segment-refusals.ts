import type { Clock } from "../../state/clock.ts";

/** A power of two: peers whose refusal is remembered. A newer one takes an older one's place. */
const PLACES = 256;

/** How long a refusal is believed: ways become wider again, and trying costs one system call. */
const BELIEVED_MS = 60_000;

/** Words of a peer's sockaddr that tell its address: those behind the port, IPv4 or IPv6. */
const ADDRESS_WORDS = 5;

/**
 * Peers to whom the kernel would not send segments (UDP_SEGMENT) as long as that: the device towards them or, over
 * IPv6, the path's MTU is less, or cannot cut at all. It is each peer's own, so it is remembered by peer.
 */
export class SegmentRefusals {
  readonly #clock: Clock;
  readonly #words = new Int32Array(PLACES * ADDRESS_WORDS);
  readonly #lengthMax = new Int32Array(PLACES);
  readonly #untilMs = new Float64Array(PLACES);
  #any = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether segments of `length` may be tried to the peer whose sockaddr begins at word `at` of `names`. */
  allows(names: Int32Array, at: number, length: number): boolean {
    if (!this.#any) return true;
    const place = placeOf(names, at);
    if (length <= this.#lengthMax[place]! || this.#clock.nowMs >= this.#untilMs[place]!) return true;
    const words = place * ADDRESS_WORDS;
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      if (this.#words[words + word] !== names[at + 1 + word]) return true;
    }
    return false;
  }

  /** The kernel refused; segments of up to `lengthMax` may still go. */
  add(names: Int32Array, at: number, lengthMax: number): void {
    const place = placeOf(names, at);
    this.#words.set(names.subarray(at + 1, at + 1 + ADDRESS_WORDS), place * ADDRESS_WORDS);
    this.#lengthMax[place] = lengthMax;
    this.#untilMs[place] = this.#clock.nowMs + BELIEVED_MS;
    this.#any = true;
  }
}

/** A forger who makes two peers meet gains that one's refusal is forgotten: a system call more. */
function placeOf(names: Int32Array, at: number): number {
  const hash = Math.imul(names[at + 1]! ^ names[at + 3]! ^ names[at + 5]!, 0x9e3779b1);
  return hash >>> 24;
}
