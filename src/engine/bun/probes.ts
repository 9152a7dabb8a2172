import type { Clock } from "../../state/clock.ts";
import { PROBE_LIFE_MS } from "../loop.ts";
import type { Connection } from "./connections.ts";
import { PROBE, Session } from "./session.ts";

/** It has no place in the rules' tables. */
const NO_SLOT = -1;

/**
 * Connections of the server's own probe: echoed like a session, but no session. Nothing waits for them, and nothing
 * of them is counted or logged. One is here at a time, or two where the loop has not yet seen the end of the first.
 */
export class BunProbes {
  readonly #clock: Clock;
  /** When each began. */
  readonly #begun = new Map<Connection, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The probe was accepted: it sees what a client sees, the banner and then its echo. */
  begin(socket: Connection, banner: Uint8Array): void {
    socket.data = new Session(NO_SLOT, PROBE);
    this.#begun.set(socket, this.#clock.nowMs);
    this.echo(socket, banner);
  }

  /** One that does not take its few bytes back at once is none. */
  echo(socket: Connection, bytes: Uint8Array): void {
    if (socket.write(bytes) !== bytes.length) socket.terminate();
  }

  /** Bun has closed it. */
  ended(socket: Connection): void {
    this.#begun.delete(socket);
  }

  /** Ends those that their other end has left here; once per tick. */
  sweep(): void {
    for (const [socket, begunMs] of this.#begun) {
      if (this.#clock.nowMs - begunMs > PROBE_LIFE_MS) socket.terminate();
    }
  }

  closeAll(): void {
    for (const socket of [...this.#begun.keys()]) socket.terminate();
  }
}
