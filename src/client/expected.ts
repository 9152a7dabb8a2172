/** Bytes that came in place of a message, kept to be looked at: as many as a datagram can have. */
const WRONG_BYTES_MAX = 65_536;

const NOTHING = new Uint8Array(0);

/** A message whose echo is due, and who is told when all of it came. */
interface Due {
  readonly message: Uint8Array;
  readonly whole: () => void;
}

/**
 * Holds what comes back on a stream against the messages that were sent on it, in their order and byte by byte. A
 * stream loses nothing: what is due from an earlier message comes first, however late. After the first wrong byte
 * nothing is compared any more: where the stream stands is not known then.
 */
export class Expected {
  /** Right bytes so far. */
  total = 0;
  /** Bytes that were sent and did not come back yet. */
  due = 0;
  /** What came in place of a message, from that message's first byte on; null as long as all is right. */
  wrong: Uint8Array | null = null;
  /** Bytes that came before a message was sent that they could be the echo of. */
  earlyBytes = 0;
  #early: Uint8Array[] = [];
  /** Messages due; of the first, `#matched` bytes came. */
  readonly #messages: Due[] = [];
  #matched = 0;

  /** What came so, up to as many bytes as are kept of what is wrong. */
  get early(): Uint8Array {
    return Buffer.concat(this.#early).subarray(0, WRONG_BYTES_MAX);
  }

  /**
   * A message is sent. It must not change until its echo has come.
   * @param whole called when the last byte of its echo was taken, and all were right
   */
  send(message: Uint8Array, whole = (): void => {}): void {
    if (message.length > 0) this.#messages.push({ message, whole });
    this.due += message.length;
    const early = this.#early;
    this.#early = [];
    this.earlyBytes = 0;
    for (const bytes of early) this.take(bytes);
  }

  /** Takes the next bytes of the stream. */
  take(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) rest = this.#takeSome(rest);
  }

  /** Holds bytes against the first message due; returns those beyond it. */
  #takeSome(bytes: Uint8Array): Uint8Array {
    const first = this.#messages[0];
    if (this.wrong !== null || first === undefined) {
      this.#keep(bytes);
      return NOTHING;
    }
    const { message, whole } = first;
    const expected = message.subarray(this.#matched, this.#matched + bytes.length);
    const right = commonLength(expected, bytes);
    this.total += right;
    this.due -= right;
    if (right < expected.length) {
      this.wrong = Buffer.concat([message.subarray(0, this.#matched), bytes]).subarray(0, WRONG_BYTES_MAX);
      return NOTHING;
    }
    this.#matched += right;
    if (this.#matched === message.length) {
      this.#messages.shift();
      this.#matched = 0;
      whole();
    }
    return bytes.subarray(right);
  }

  #keep(bytes: Uint8Array): void {
    if (this.wrong !== null) {
      this.wrong = Buffer.concat([this.wrong, bytes]).subarray(0, WRONG_BYTES_MAX);
      return;
    }
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
