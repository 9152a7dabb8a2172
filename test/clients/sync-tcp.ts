import type { Pointer } from "bun:ffi";
import { parseAddress } from "../../src/net/address.ts";
import {
  AF_INET,
  isTransient,
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
import { abortiveClose } from "../../src/sys/socket.ts";
import { patternBytes } from "./bytes.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;
const PIECE_BYTES = 256 * 1024;
const EMPTY_LINE = "\n\n";

/** What is sent and must come back, again and again. */
const STREAM = patternBytes(PIECE_BYTES);

/** How a session looks to its client: still there, ended by the server's FIN or by a reset, or left by the client itself. */
export type SyncEnding = "open" | "fin" | "reset" | "left";

/**
 * A TCP client of a server on loopback whose every call is done when it returns, and never waits: so a test says what
 * lies in the kernel, and in which order, while the server does not look. It compares all that comes with what it sent.
 */
export class SyncTcp implements Disposable {
  ending: SyncEnding = "open";
  sent = 0;
  /** Bytes that came back, without the banner. */
  echoed = 0;
  /** Every byte so far was the right one. */
  isRight = true;
  hasSentFin = false;
  readonly #libc: Libc = loadLibc();
  readonly #memory = nativeMemory(PIECE_BYTES);
  readonly #fd: number;
  /** What came of the banner; null once that is over. */
  #banner: string | null;

  /** Begins to connect; on loopback that is done, where the server's backlog has room. */
  constructor(port: number, hasBanner: boolean) {
    this.#banner = hasBanner ? "" : null;
    this.#fd = this.#libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const length = writeSockaddr(this.#memory.view, 0, AF_INET, LOOPBACK, port);
    this.#libc.connect(this.#fd, this.#memory.address as Pointer, length);
  }

  /** Whether the banner has come, where there is one. */
  get isGreeted(): boolean {
    return this.#banner === null;
  }

  /** Sends up to so many bytes, as many as there is room for; how many. */
  send(most: number): number {
    const before = this.sent;
    while (this.ending === "open" && !this.hasSentFin && this.sent - before < most) {
      const at = this.sent % PIECE_BYTES;
      const piece = STREAM.subarray(at, Math.min(PIECE_BYTES, at + most - (this.sent - before)));
      this.#memory.bytes.set(piece);
      const sent = this.#libc.send(this.#fd, this.#pointer, piece.length, MSG_NOSIGNAL);
      this.sent += Math.max(0, sent);
      if (sent < piece.length) break;
    }
    return this.sent - before;
  }

  /** Reads up to so many bytes of what is there, or notes the end; how many. */
  read(most = Number.POSITIVE_INFINITY): number {
    let came = 0;
    while (this.ending === "open" && came < most) {
      const length = this.#libc.recv(this.#fd, this.#pointer, Math.min(PIECE_BYTES, most - came), 0);
      if (length < 0 && isTransient(this.#libc.errno())) break;
      if (length <= 0) this.ending = length === 0 ? "fin" : "reset";
      else this.#take(this.#memory.bytes.subarray(0, length));
      came += Math.max(0, length);
    }
    return came;
  }

  sendFin(): void {
    if (this.ending === "open") this.#libc.shutdown(this.#fd, SHUT_WR);
    this.hasSentFin = true;
  }

  /** Leaves by a reset. */
  reset(): void {
    if (this.ending !== "left") abortiveClose(this.#fd);
    this.ending = "left";
  }

  /** Leaves as a program does that ends: by a FIN, or a reset where something is unread or still comes. */
  close(): void {
    if (this.ending !== "left") this.#libc.close(this.#fd);
    this.ending = "left";
  }

  [Symbol.dispose](): void {
    this.reset();
  }

  get #pointer(): Pointer {
    return this.#memory.address as Pointer;
  }

  #take(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#banner !== null) {
      const before = this.#banner.length;
      this.#banner += Buffer.from(bytes).toString("latin1");
      const end = this.#banner.indexOf(EMPTY_LINE);
      if (end === -1) return;
      rest = bytes.subarray(end + EMPTY_LINE.length - before);
      this.#banner = null;
    }
    for (let at = 0; at < rest.length; ) {
      const from = this.echoed % PIECE_BYTES;
      const wanted = STREAM.subarray(from, from + rest.length - at);
      if (Buffer.compare(wanted, rest.subarray(at, at + wanted.length)) !== 0) this.isRight = false;
      at += wanted.length;
      this.echoed += wanted.length;
    }
  }
}
