import type { udp } from "bun";
import type { Endpoint } from "./endpoint.ts";

/** A datagram may be lost where a flood fills the server's buffer: it is sent again after so long. */
const RETRY_MS = 100;

/**
 * Echoes through the UDP front door, always from one socket: to the server it is one session, however often it is
 * asked. The socket is connected, so an answer from a wrong address does not count.
 */
export class UdpProbe {
  readonly #endpoint: Endpoint;
  #socket: udp.ConnectedSocket<"buffer"> | null = null;
  #waiting: { nonce: string; resolve: (verdict: null) => void } | null = null;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Null when a datagram came back within `timeoutMs`, else what went wrong. One question at a time. */
  async ask(timeoutMs: number): Promise<string | null> {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const nonce = `probe ${crypto.randomUUID()}`;
    this.#waiting = { nonce, resolve };
    const timer = setTimeout(() => resolve(`no echo within ${timeoutMs} ms`), timeoutMs);
    let retry: Timer | undefined;
    try {
      this.#socket ??= await this.#open();
      this.#send(nonce);
      retry = setInterval(() => this.#send(nonce), RETRY_MS);
      return await promise;
    } catch (error) {
      return `cannot open a socket: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      clearTimeout(timer);
      clearInterval(retry);
      this.#waiting = null;
    }
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #open(): Promise<udp.ConnectedSocket<"buffer">> {
    const handlers: udp.SocketHandler<"buffer"> = {
      data: (_socket, datagram) => {
        // The banner, and late answers to earlier questions, are not what is waited for.
        if (datagram.toString("latin1") === this.#waiting?.nonce) this.#waiting.resolve(null);
      },
      error: () => {}, // an ICMP error: nothing listens there. Without this handler it would end the process.
    };
    const hostname = this.#endpoint.hostname.includes(":") ? "::" : "0.0.0.0"; // of the family it connects to
    return Bun.udpSocket({ hostname, connect: { ...this.#endpoint }, socket: handlers });
  }

  #send(nonce: string): void {
    try {
      this.#socket?.send(nonce);
    } catch {
      // The ICMP error of an earlier datagram: the next try tells.
    }
  }
}
