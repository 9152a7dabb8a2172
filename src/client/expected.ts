/** Bytes that came in place of a message, kept to be looked at: as many as a datagram can have. */
const WRONG_BYTES_MAX = 65_536;

/**
 * Holds what comes back on a stream against the messages that were sent on it, one after the other, byte by byte.
 * After the first wrong byte nothing is compared any more: where the stream stands is not known.
 */
export class Expected {
  /** Right bytes of all messages. */
  total = 0;
  /** Right bytes of this message. */
  matched = 0;
  /** What came in place of this message, from its first byte on; null as long as all is right. */
  wrong: Uint8Array | null = null;
  /** Bytes that came before their message was sent, or that no message was sent for. */
  earlyBytes = 0;
  #early: Uint8Array[] = [];
  #message: Uint8Array = new Uint8Array(0);

  /** Whether all of this message came. */
  get whole(): boolean {
    return this.wrong === null && this.matched === this.#message.length;
  }

  /** The next message is sent; the one before is whole, or not waited for any more. */
  begin(message: Uint8Array): void {
    const early = this.#early;
    this.#early = [];
    this.earlyBytes = 0;
    this.#message = message;
    this.matched = 0;
    for (const bytes of early) this.take(bytes);
  }

  /** Takes the next bytes of the stream. */
  take(bytes: Uint8Array): void {
    if (this.wrong !== null) {
      this.#keepWrong(this.wrong, bytes);
      return;
    }
    const due = this.#message.subarray(this.matched, this.matched + bytes.length);
    const right = commonLength(due, bytes);
    this.total += right;
    if (right < due.length) {
      this.#keepWrong(this.#message.subarray(0, this.matched), bytes);
      return;
    }
    this.matched += right;
    if (right < bytes.length) this.#keepEarly(bytes.subarray(right));
  }

  #keepWrong(before: Uint8Array, bytes: Uint8Array): void {
    const length = Math.min(WRONG_BYTES_MAX, this.#message.length);
    this.wrong = Buffer.concat([before, bytes]).subarray(0, length);
  }

  #keepEarly(bytes: Uint8Array): void {
    this.#early.push(bytes);
    this.earlyBytes += bytes.length;
  }
}

/** How many bytes two begin with in common, up to the shorter one's length. */
function commonLength(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) === 0) return length;
  let at = 0;
  while (a[at] === b[at]) at++;
  return at;
}
