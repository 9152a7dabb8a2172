import type { udp } from "bun";
import { type Endpoint, hostOf } from "../net/endpoint.ts";
import { takeBackUdpEnd, tellUdpEnd } from "../state/probe-end.ts";
import type { SharedTables } from "../state/shared.ts";
import { hasLibc } from "../sys/libc.ts";
import { CLOSED, cannotOpen, makeNonce, type ProbeFault, timedOut } from "./probe.ts";

/** A datagram may be lost where a flood fills the server's buffer: it is sent again after so long. */
const RETRY_MS = 100;

/**
 * Echoes through the UDP front door from one socket, which is kept: a datagram that comes late to the server still
 * comes from an end that the loops know (`state/probe-end.ts`). It is bound to the address that it dials and to any
 * free port; Bun sets neither SO_REUSEADDR nor SO_REUSEPORT on it (on Linux; where libc cannot be called it is
 * not known, and the probe is a client like any other). It is connected, so an answer from a wrong address does not
 * count.
 */
export class UdpProbe {
  readonly #tables: SharedTables;
  readonly #endpoint: Endpoint;
  #socket: udp.ConnectedSocket<"buffer"> | null = null;
  #waiting: { nonce: string; resolve: (outcome: ProbeFault | null) => void } | null = null;
  #closed = false;

  constructor(tables: SharedTables, endpoint: Endpoint) {
    this.#tables = tables;
    this.#endpoint = endpoint;
  }

  /** Null when a datagram came back within `timeoutMs`, else what went wrong. One question at a time. */
  async ask(timeoutMs: number): Promise<ProbeFault | null> {
    const { promise, resolve } = Promise.withResolvers<ProbeFault | null>();
    const nonce = makeNonce();
    this.#waiting = { nonce, resolve };
    const timer = setTimeout(() => resolve(timedOut(timeoutMs)), timeoutMs);
    let retry: Timer | undefined;
    try {
      this.#socket ??= await this.#open();
      if (this.#closed) this.close();
      this.#send(nonce);
      retry = setInterval(() => this.#send(nonce), RETRY_MS);
      return await promise;
    } catch (error) {
      const coded = error instanceof Error && "code" in error;
      return cannotOpen(String(coded ? error.code : error));
    } finally {
      clearTimeout(timer);
      clearInterval(retry);
      this.#waiting = null;
    }
  }

  /** Its end is taken back before it is anybody's. */
  close(): void {
    this.#closed = true;
    takeBackUdpEnd(this.#tables);
    this.#socket?.close();
    this.#socket = null;
    this.#waiting?.resolve(CLOSED);
  }

  async #open(): Promise<udp.ConnectedSocket<"buffer">> {
    const handlers: udp.SocketHandler<"buffer"> = {
      data: (_socket, datagram) => {
        // The banner, and late answers to earlier questions, are not what is waited for.
        if (datagram.toString("latin1") === this.#waiting?.nonce) this.#waiting.resolve(null);
      },
      error: () => {}, // an ICMP error: nothing listens there. Without this handler it would end the process.
    };
    const hostname = hostOf(this.#endpoint);
    const { address, port } = this.#endpoint;
    const socket = await Bun.udpSocket({ hostname, connect: { hostname, port }, socket: handlers });
    if (hasLibc()) tellUdpEnd(this.#tables, address, socket.port);
    return socket;
  }

  #send(nonce: string): void {
    try {
      this.#socket?.send(nonce);
    } catch {
      // The ICMP error of an earlier datagram: the next try tells.
    }
  }
}
