import type { TcpClose } from "../../rules/counters.ts";

/** Where a session stands. What comes is sent back at once; */
export const ECHOING = 0;
/** nothing is read until what is owed is sent; */
export const BLOCKED = 1;
/** what comes is a PROXY header; */
export const AWAITING = 2;
/** what comes is thrown away: the server has sent its FIN. */
export const LINGERING = 3;

const NOTHING = new Uint8Array(0);

/** What the engine keeps of a TCP session beside the rules' tables: one per connection, as the socket's `data`. */
export class Session {
  /** Its number in the rules' tables. */
  readonly slot: number;
  state: number;
  /** Owed to the peer: the kernel took no more. Empty unless BLOCKED. */
  queued: Uint8Array = NOTHING;
  /** The peer's FIN came. */
  fin = false;
  /** A write found the connection gone: Bun is about to tell. */
  dead = false;
  /** It was closed by this side: Bun is about to tell. */
  closing = false;
  /** Why this side ends it; null where the peer does. */
  reason: TcpClose | null = null;
  /** Both ends as text; null unless sessions are logged. */
  ends: { readonly client: string; readonly server: string } | null = null;

  constructor(slot: number, state: number) {
    this.slot = slot;
    this.state = state;
  }

  /** Adds to what is owed. */
  owe(bytes: Uint8Array): void {
    if (this.queued.length === 0) {
      this.queued = bytes;
      return;
    }
    const both = new Uint8Array(this.queued.length + bytes.length);
    both.set(this.queued);
    both.set(bytes, this.queued.length);
    this.queued = both;
  }
}
