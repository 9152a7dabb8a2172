/**
 * Deadlines of many sessions at the cost of one visit per timeout each, and nothing per message: a timing wheel
 * (Varghese and Lauck, 1987) whose entries are checked late. A session that stays busy only stamps its last
 * activity; when its bucket comes up, `check` looks at the stamp and says when to look again.
 */
export class DeadlineWheel {
  readonly #tickMs: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** Bucket + 1, 0 for not watched: memory never written to costs nothing. */
  readonly #bucketOf: Int32Array;
  #turnedTo: number;

  /**
   * @param slots how many sessions there can be; a session is a number from 0 to `slots - 1`
   * @param horizonMs the longest wait from now that is ever asked for; a longer one is looked at early and put back
   * @param tickMs the grain: a deadline is noticed at most this late
   */
  constructor(slots: number, horizonMs: number, tickMs: number, nowMs: number) {
    const buckets = Math.min(4096, Math.ceil(horizonMs / tickMs) + 2);
    this.#tickMs = tickMs;
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#next = new Int32Array(slots);
    this.#previous = new Int32Array(slots);
    this.#bucketOf = new Int32Array(slots);
    this.#turnedTo = Math.floor(nowMs / tickMs);
  }

  /**
   * Watches `slot` until `deadlineMs`.
   * @throws when it is watched already: a second entry would tear the lists of both buckets
   */
  add(slot: number, deadlineMs: number): void {
    if (this.#bucketOf[slot] !== 0) throw new Error(`slot ${slot} is watched already`);
    const furthest = this.#turnedTo + this.#heads.length - 1;
    const tick = Math.min(Math.max(Math.ceil(deadlineMs / this.#tickMs), this.#turnedTo + 1), furthest);
    const bucket = tick % this.#heads.length;
    const head = this.#heads[bucket]!;
    this.#bucketOf[slot] = bucket + 1;
    this.#previous[slot] = -1;
    this.#next[slot] = head;
    if (head !== -1) this.#previous[head] = slot;
    this.#heads[bucket] = slot;
  }

  /** Stops watching `slot`; nothing happens if it is not watched. */
  remove(slot: number): void {
    const bucket = this.#bucketOf[slot]! - 1;
    if (bucket === -1) return;
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    if (previous === -1) this.#heads[bucket] = next;
    else this.#next[previous] = next;
    if (next !== -1) this.#previous[next] = previous;
    this.#bucketOf[slot] = 0;
  }

  /**
   * Turns the wheel to `nowMs` and asks `check` of each session that came up: it returns the next deadline, or 0
   * when the session needs no watching any more. `check` may add and remove sessions.
   */
  advance(nowMs: number, check: (slot: number) => number): void {
    const target = Math.floor(nowMs / this.#tickMs);
    const first = Math.max(this.#turnedTo + 1, target - this.#heads.length + 1); // after a long stall, each bucket once
    for (let tick = first; tick <= target; tick++) {
      this.#turnedTo = tick;
      const bucket = tick % this.#heads.length;
      // What is put back lands in a later bucket, so this one empties.
      for (let slot = this.#heads[bucket]!; slot !== -1; slot = this.#heads[bucket]!) {
        this.remove(slot);
        const deadlineMs = check(slot);
        if (deadlineMs !== 0) this.add(slot, deadlineMs);
      }
    }
  }
}

/** The grain that notices a timeout within a second at the latest, and within 4 % of a short one. 10 to 250 ms. */
export function wheelTickMs(shortestTimeoutMs: number): number {
  return Math.min(250, Math.max(10, Math.floor(shortestTimeoutMs / 25)));
}

/** A wheel for deadlines of those timeouts, 0 being none; null where none is left. */
export function wheelFor(slots: number, timeoutsMs: readonly number[], nowMs: number): DeadlineWheel | null {
  const used = timeoutsMs.filter((ms) => ms > 0);
  if (used.length === 0) return null;
  return new DeadlineWheel(slots, Math.max(...used), wheelTickMs(Math.min(...used)), nowMs);
}
