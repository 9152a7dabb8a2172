import type { Address } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { TcpInfo } from "../sys/tcp-info.ts";
import type { Failure } from "./failure.ts";

export type { TcpInfo };

/** This end of a session or flow, where it is not left to the system. */
export interface Source {
  /** One of this machine's, of the target's family. */
  readonly address?: Address;
  /** 1 to 65535. */
  readonly port?: number;
  /** Told this end's port before the first packet leaves from it. Of TCP by system calls alone: Bun knows it too late. */
  readonly bound?: (port: number) => void;
}

/** A connection, as much of it as a session needs; a socket of Bun's is one. */
export interface Connection {
  readonly localAddress: string;
  readonly localPort: number;
  /**
   * Gives the kernel bytes to send. How many it took, from the first on; 0 where it takes none now, or the other end has
   * closed, which is told; below 0 where the connection is broken: its close is told, of a paused one perhaps not before
   * it is resumed.
   */
  write(bytes: Uint8Array): number;
  /** Sends a FIN; reading goes on. */
  shutdown(): void;
  /** Sends a FIN and closes. */
  end(): void;
  /** Resets and closes. */
  terminate(): void;
  /** Reads nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** What the kernel knows of the path; null, or no such method, where it does not say. */
  info?(): TcpInfo | null;
}

/** When a connection began and was there, by `performance.now()`. */
export interface Handshake {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What becomes of a connection. First `connected` or `failed`, once; then, once connected, the others. */
export interface ConnectionEvents {
  /** @param handshake from the first SYN to its answer, by `performance.now()`, where the kernel tells; default: till now */
  connected(connection: Connection, handshake?: Handshake): void;
  /** There is no connection, and nothing more will be told. */
  failed(failure: Failure): void;
  /** @param atMs when they came, by `performance.now()`, where the kernel stamped them; default: now */
  data(bytes: Uint8Array, atMs?: number): void;
  /** There may be room for more to send. */
  writable(): void;
  /** The other end sends no more. */
  fin(): void;
  /** The connection is gone; `error` is the system's word for why, null after a FIN or where it was ended here. */
  closed(error: string | null): void;
}

/**
 * Begins to connect and tells what becomes of it. The seam between a session and how this machine makes connections:
 * `bun/dial-adopted.ts` by system calls with Bun's loop, `linux/dial.ts` by system calls alone, `bun/dial.ts` by Bun alone.
 * @returns what gives up a connection that is not there yet; nothing is told after that
 */
export type Dial = (target: Endpoint, source: Source, events: ConnectionEvents) => () => void;
