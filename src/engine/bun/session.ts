import type { TcpClose } from "../../state/counters.ts";
import { release } from "./memory.ts";

/** Session state: bytes that come are sent back at once. The states have no order; this file owns the set. */
export const ECHOING = 0;
/** Session state: bytes are queued for a slow reader, and nothing is read until they are sent. */
export const BLOCKED = 1;
/** Session state: bytes that come are a PROXY header, or may be one. */
export const AWAITING_HEADER = 2;
/** Session state: the server was cut and has sent its FIN. Bytes that come are thrown away. */
export const LINGERING = 3;
/** Session state: the server was cut. Bytes that had come by then are sent back, and the server's FIN follows. */
export const LAST_BYTES = 4;
/** Not a session but the server's own probe: bytes that come are sent back and counted nowhere. */
export const PROBE = 5;
export type SessionState =
  | typeof ECHOING
  | typeof BLOCKED
  | typeof AWAITING_HEADER
  | typeof LINGERING
  | typeof LAST_BYTES
  | typeof PROBE;

/** An empty queue. It has no bytes, so `release` leaves it alone. */
const NOTHING = new Uint8Array(0);

/** A TCP session of the portable engine, the `data` of its socket. The rules keep the rest in their own tables. */
export class Session {
  /** The session's number in the rules' tables. */
  readonly slot: number;
  state: SessionState;
  /** Bytes that the kernel did not take at once. The first `#sent` of them have been sent since. */
  #queue: Uint8Array = NOTHING;
  #sent = 0;
  /** Number of bytes that had come by the cut and are not read yet. */
  unread = 0;
  /** The peer's FIN came. */
  fin = false;
  /** A write found the connection gone. Bun will report the close soon. */
  dead = false;
  /** This side has closed the connection. */
  closing = false;
  /** Why this side ends the session; null as long as only the peer can end it. */
  reason: TcpClose | null = null;

  constructor(slot: number, state: SessionState) {
    this.slot = slot;
    this.state = state;
  }

  /** Number of bytes in the queue; 0 unless the session is BLOCKED. */
  get queuedBytes(): number {
    return this.#queue.length - this.#sent;
  }

  /** Queues `bytes` without their first `sent`. From here on `bytes` belongs to the session: nobody else may use it. */
  enqueue(bytes: Uint8Array, sent: number): void {
    const queued = this.queuedBytes;
    if (queued === 0 && sent <= bytes.length / 2) {
      this.#queue = bytes;
      this.#sent = sent;
      return;
    }
    // Little is left of the chunk: a copy of that costs less memory than the chunk.
    const all = new Uint8Array(queued + bytes.length - sent);
    all.set(this.#queue.subarray(this.#sent));
    all.set(bytes.subarray(sent), queued);
    release(bytes);
    this.dropQueue();
    this.#queue = all;
  }

  /**
   * Writes the queue to the session's own socket. Returns how many bytes the kernel took, -1 where the connection is
   * gone.
   * @throws when more are sent than were queued
   */
  flush(socket: { write(bytes: Uint8Array, offset: number, length: number): number }): number {
    const sent = socket.write(this.#queue, this.#sent, this.queuedBytes);
    if (sent > this.queuedBytes) throw new Error(`more bytes of session ${this.slot} are sent than queued`);
    if (sent > 0) this.#sent += sent;
    if (this.queuedBytes === 0) this.dropQueue();
    return sent;
  }

  /** Empties the queue and gives its memory back. */
  dropQueue(): void {
    release(this.#queue);
    this.#queue = NOTHING;
    this.#sent = 0;
  }
}
