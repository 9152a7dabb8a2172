import type { Pointer } from "bun:ffi";
import { type Endpoint, endpointOf } from "../../src/net/endpoint.ts";
import {
  AF_INET,
  type Libc,
  loadLibc,
  MSG_NOSIGNAL,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { writeSockaddr } from "../../src/sys/sockaddr.ts";
import { abortiveClose, localEnd } from "../../src/sys/socket.ts";

const PIECE_BYTES = 1024 * 1024;

const libc: Libc = loadLibc();
const memory = nativeMemory(PIECE_BYTES);
const pointer = memory.address as Pointer;

/** A listener on loopback whose calls are done when they return: what it does lies in the kernel before a client looks. */
export class SyncListener implements Disposable {
  readonly endpoint: Endpoint;
  readonly #fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  constructor() {
    const { address } = endpointOf("127.0.0.1", 0)!;
    libc.bind(this.#fd, pointer, writeSockaddr(memory.view, 0, AF_INET, address, 0));
    libc.listen(this.#fd, 64);
    this.endpoint = { address, port: localEnd(this.#fd).port };
  }

  /** Who has connected; null where there is nobody. */
  accept(): SyncPeer | null {
    const fd = libc.accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? null : new SyncPeer(fd);
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** The other end of a client's connection. */
export class SyncPeer implements Disposable {
  state: "open" | "fin" | "closed" | "reset" = "open";
  sent = 0;

  constructor(readonly fd: number) {}

  /** Sends so many of the letter `a`. */
  send(length: number): void {
    memory.bytes.fill(97, 0, length);
    if (this.state === "open") this.sent += Math.max(0, libc.send(this.fd, pointer, length, MSG_NOSIGNAL));
  }

  /** Takes what is there. */
  read(): void {
    if (this.#isThere) libc.recv(this.fd, pointer, PIECE_BYTES, 0);
  }

  sendFin(): void {
    if (this.state === "open") libc.shutdown(this.fd, SHUT_WR);
    if (this.state === "open") this.state = "fin";
  }

  /** By a FIN; by a reset where something is unread, or still comes. */
  close(): void {
    if (!this.#isThere) return;
    libc.close(this.fd);
    this.state = "closed";
  }

  reset(): void {
    if (!this.#isThere) return;
    abortiveClose(this.fd);
    this.state = "reset";
  }

  [Symbol.dispose](): void {
    this.reset();
  }

  get #isThere(): boolean {
    return this.state === "open" || this.state === "fin";
  }
}
