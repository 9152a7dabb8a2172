import type { TcpClose } from "../../state/counters.ts";
import { release } from "./memory.ts";

/** Where a session stands. What comes is sent back at once; */
export const ECHOING = 0;
/** nothing is read until what is owed is sent; */
export const BLOCKED = 1;
/** what comes is a PROXY header; */
export const AWAITING = 2;
/** what comes is thrown away: the server has sent its FIN; */
export const LINGERING = 3;
/** what had come by the cut is sent back, then comes the server's FIN. */
export const LAST = 4;
/** It is the server's own probe, and no session: what comes is sent back and counted nowhere. */
export const PROBE = 5;

/** Nobody's memory: `release` is never given it with bytes in it. */
const NOTHING = new Uint8Array(0);

/** What the engine keeps of a TCP session beside the rules' tables: one per connection, as the socket's `data`. */
export class Session {
  /** Its number in the rules' tables. */
  readonly slot: number;
  state: number;
  /** What the kernel did not take at once is owed to the peer: these bytes, but for the first `paid`. */
  #owed: Uint8Array = NOTHING;
  #paid = 0;
  /** Bytes that had come by the cut and are not read yet. */
  unread = 0;
  /** The peer's FIN came. */
  fin = false;
  /** A write found the connection gone: Bun is about to tell. */
  dead = false;
  /** This side has closed it. */
  closing = false;
  /** Why this side ends it; null where the peer does. */
  reason: TcpClose | null = null;

  constructor(slot: number, state: number) {
    this.slot = slot;
    this.state = state;
  }

  /** Bytes that are owed: none unless BLOCKED. */
  get debt(): number {
    return this.#owed.length - this.#paid;
  }

  /** Adds `bytes` to what is owed, but for the first `sent`. They belong to the session from here on. */
  owe(bytes: Uint8Array, sent: number): void {
    const debt = this.debt;
    if (debt === 0 && sent <= bytes.length / 2) {
      this.#owed = bytes;
      this.#paid = sent;
      return;
    }
    // A copy of the little that is left is cheaper to keep.
    const all = new Uint8Array(debt + bytes.length - sent);
    all.set(this.#owed.subarray(this.#paid));
    all.set(bytes.subarray(sent), debt);
    release(bytes);
    this.forgive();
    this.#owed = all;
  }

  /** Writes what is owed to the session's own socket: how many bytes the kernel took, -1 where the connection is gone. */
  pay(socket: { write(bytes: Uint8Array, offset: number, length: number): number }): number {
    const sent = socket.write(this.#owed, this.#paid, this.debt);
    if (sent > 0) this.#paid += sent;
    if (this.debt === 0) this.forgive();
    return sent;
  }

  /** Nothing is owed any more. */
  forgive(): void {
    release(this.#owed);
    this.#owed = NOTHING;
    this.#paid = 0;
  }
}
