import type { Clock } from "../../state/clock.ts";

/** A power of two: peers whose refusal is remembered. A newer one takes an older one's place. */
const SLOTS = 256;

/** How long a refusal is believed: ways become wider again, and trying costs one system call. */
const BELIEVED_MS = 60_000;

/** Words of a peer's sockaddr that tell its address: those after the port, IPv4 or IPv6. */
const ADDRESS_WORDS = 5;

/**
 * Peers to which the kernel refused to send segments (UDP_SEGMENT) of some length: the MTU of the device (over IPv6, of
 * the path) is less, or the device cannot cut segments at all. Paths differ, so a refusal is remembered for each peer.
 */
export class SegmentRefusals {
  readonly #clock: Clock;
  readonly #words = new Int32Array(SLOTS * ADDRESS_WORDS);
  readonly #lengthMax = new Int32Array(SLOTS);
  readonly #untilMs = new Float64Array(SLOTS);
  #any = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether segments of `length` may be tried to the peer whose sockaddr begins at word `at` of `names`. */
  allows(names: Int32Array, at: number, length: number): boolean {
    if (!this.#any) return true;
    const slot = slotOf(names, at);
    if (length <= this.#lengthMax[slot]! || this.#clock.nowMs >= this.#untilMs[slot]!) return true;
    const words = slot * ADDRESS_WORDS;
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      if (this.#words[words + word] !== names[at + 1 + word]) return true;
    }
    return false;
  }

  /** The kernel refused; segments of up to `lengthMax` may still go. */
  add(names: Int32Array, at: number, lengthMax: number): void {
    const slot = slotOf(names, at);
    this.#words.set(names.subarray(at + 1, at + 1 + ADDRESS_WORDS), slot * ADDRESS_WORDS);
    this.#lengthMax[slot] = lengthMax;
    this.#untilMs[slot] = this.#clock.nowMs + BELIEVED_MS;
    this.#any = true;
  }
}

/** A forger who makes two peers meet gains that one's refusal is forgotten: a system call more. */
function slotOf(names: Int32Array, at: number): number {
  const hash = Math.imul(names[at + 1]! ^ names[at + 3]! ^ names[at + 5]!, 0x9e3779b1);
  return hash >>> 24;
}
