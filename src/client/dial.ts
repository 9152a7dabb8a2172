import type { Address } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Failure } from "./failure.ts";

/** This end of a session or flow, where it is not left to the system. */
export interface Source {
  /** One of this machine's, of the target's family. */
  readonly address?: Address;
  /** 1 to 65535. */
  readonly port?: number;
  /** Told this end's port before the first packet leaves from it. Of TCP by system calls alone: Bun knows it too late. */
  readonly bound?: (port: number) => void;
}

/** What becomes of a connection. First `connected` or `failed`, once; then, once connected, the others. */
export interface ConnectionEvents {
  connected(socket: Bun.Socket<undefined>): void;
  /** There is no connection, and nothing more will be told. */
  failed(failure: Failure): void;
  data(bytes: Uint8Array): void;
  /** There may be room for more to send. */
  writable(): void;
  /** The other end sends no more. */
  fin(): void;
  /** The connection is gone; `error` is the system's word for why, null after a FIN or where it was ended here. */
  closed(error: string | null): void;
}

/**
 * Begins to connect and tells what becomes of it. The seam between a session and how this machine makes connections:
 * `dial-linux.ts` by system calls, `dial-bun.ts` by Bun alone.
 * @returns what gives up a connection that is not there yet; nothing is told after that
 */
export type Dial = (target: Endpoint, source: Source, events: ConnectionEvents) => () => void;
