import type { Socket } from "bun";
import type { TcpClose } from "../../state/counters.ts";
import type { Session } from "./session.ts";

/** A connection: `data` is its session, null while there is none. */
export type Connection = Socket<Session | null>;

/** Closes by a reset. */
export function abort(socket: Connection, session: Session, reason: TcpClose): void {
  session.reason ??= reason;
  session.closing = true;
  socket.terminate();
}

/** Closes by a FIN, which follows what the kernel has taken. A half-closed connection would stay for ever without it. */
export function close(socket: Connection, session: Session): void {
  session.closing = true;
  socket.end();
}

/** The connections of a loop by their slot, the number that the rules know them by. */
export class Connections {
  readonly #bySlot: (Connection | null)[] = [];
  readonly #freed: number[] = [];

  /** The slot that the next connection gets: the one freed last, so that tables stay as short as can be. */
  nextSlot(): number {
    return this.#freed.at(-1) ?? this.#bySlot.length;
  }

  /** Puts a connection into `nextSlot()`. */
  add(connection: Connection): void {
    const slot = this.#freed.pop();
    if (slot === undefined) this.#bySlot.push(connection);
    else this.#bySlot[slot] = connection;
  }

  /**
   * Frees a connection's slot.
   * @throws when it is free already: freed twice, it would be two connections'
   */
  remove(slot: number): void {
    if ((this.#bySlot[slot] ?? null) === null) throw new Error(`slot ${slot} is free already`);
    this.#bySlot[slot] = null;
    this.#freed.push(slot);
  }

  get(slot: number): Connection {
    return this.#bySlot[slot]!;
  }

  /** Calls `act` with each connection and its session, except those that this side has closed. `act` may close it. */
  each(act: (connection: Connection, session: Session) => void): void {
    for (const connection of this.#bySlot) {
      const session = connection?.data ?? null;
      if (connection !== null && session !== null && !session.closing) act(connection, session);
    }
  }
}
