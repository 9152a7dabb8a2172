const NEWLINE = 10;

/**
 * Finds the end of a banner, which is its first empty line, in a stream that comes in pieces. It does not read what the
 * banner says, as `src/net/banner.ts` does: that costs 2 us a session where this costs 0.1, which `tcp-churn` would pay
 * for each message, and it would know no greeting but ours.
 */
export class BannerEnd {
  #newlines = 0;

  /** Bytes of `chunk` that belong to the banner, or -1 where all do and more follow. */
  find(chunk: Uint8Array, length: number): number {
    for (let at = 0; at < length; at++) {
      this.#newlines = chunk[at] === NEWLINE ? this.#newlines + 1 : 0;
      if (this.#newlines === 2) return at + 1;
    }
    return -1;
  }
}
