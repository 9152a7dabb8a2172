import type { Pointer } from "bun:ffi";
import { parseAddress } from "../../src/net/address.ts";
import {
  AF_INET,
  EAGAIN,
  loadLibc,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_RCVBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { writeSockaddr } from "../../src/sys/sockaddr.ts";
import { setOption } from "../../src/sys/socket.ts";
import { type EchoServer, until } from "../harness.ts";
import { patternBytes } from "./bytes.ts";

/** Bytes handed over or taken at once at most. */
const PIECE_BYTES = 64 * 1024;

/** Few enough for one segment on loopback, which is read whole. */
const STEP_BYTES = 60 * 1024;

const MSG_OOB = 1;

/**
 * A client that reads only what it is told to, by system calls: Bun's sockets read by the half megabyte, and have no
 * small receive buffer and no urgent bytes. The echo is looked at as it comes.
 */
export class SlowTcpClient implements Disposable {
  sent = 0;
  received = 0;
  /** Whether all that came is what was sent. */
  exact = true;
  ending: "fin" | "reset" | null = null;
  readonly #libc = loadLibc();
  readonly #fd: number;
  readonly #memory = nativeMemory(PIECE_BYTES);

  /** Connects to a server without a banner. */
  constructor(port: number, receiveBufferBytes = 4096, host = "127.0.0.1") {
    this.#fd = this.#libc.socket(AF_INET, SOCK_STREAM, 0);
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes);
    const length = writeSockaddr(this.#memory.view, 0, AF_INET, parseAddress(host)!, port);
    const connected = this.#libc.connect(this.#fd, this.#memory.address as Pointer, length);
    if (connected < 0) throw new Error(`connect failed: error ${this.#libc.errno()}`);
  }

  /** Hands over up to `length` bytes of the pattern; how many the kernel took. */
  send(length: number): number {
    const piece = Math.min(length, PIECE_BYTES);
    this.#memory.bytes.set(patternBytes(this.sent + piece).subarray(this.sent));
    return this.#sendPiece(piece, 0);
  }

  /** Hands over `length` bytes, as the kernel takes them. */
  async sendAll(length: number): Promise<void> {
    const all = this.sent + length;
    await until(`${length} bytes are sent`, () => {
      while (this.sent < all && this.send(all - this.sent) > 0);
      return this.sent === all;
    });
  }

  /** Sends a few bytes; the last of urgent ones is marked so (tcp(7)). */
  sendText(text: string, urgency: "urgent" | "ordinary" = "ordinary"): void {
    this.#memory.bytes.set(Buffer.from(text));
    this.#sendPiece(text.length, urgency === "urgent" ? MSG_OOB : 0);
  }

  /** All that comes until the session's end, as text. */
  async text(): Promise<string> {
    let text = "";
    await until("the session's end", () => {
      for (let length = this.read(PIECE_BYTES); length > 0; length = this.read(PIECE_BYTES)) {
        text += Buffer.from(this.#memory.bytes.subarray(0, length)).toString("latin1");
      }
      return this.ending !== null;
    });
    return text;
  }

  #sendPiece(length: number, flags: number): number {
    const address = this.#memory.address as Pointer;
    const taken = this.#libc.send(this.#fd, address, length, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken > 0) this.sent += taken;
    return Math.max(0, taken);
  }

  /** Sends until the server has queued bytes that its kernel does not take. All that was sent is then read. */
  async sendUntilQueued(server: EchoServer): Promise<void> {
    await until("the server has queued bytes", async () => {
      const metrics = await server.metrics();
      if (metrics.get("echo_received_bytes_total", { protocol: "tcp" }) < this.sent) return false;
      if (metrics.get("echo_queued_bytes") > 0) return true;
      this.send(STEP_BYTES);
      return false;
    });
  }

  halfClose(): void {
    this.#libc.shutdown(this.#fd, SHUT_WR);
  }

  /** Reads what is there, up to `length` bytes; how many came. */
  read(length: number): number {
    const piece = Math.min(length, PIECE_BYTES);
    const result = this.#libc.recv(this.#fd, this.#memory.address as Pointer, piece, MSG_DONTWAIT);
    if (result > 0) {
      const expected = patternBytes(this.received + result).subarray(this.received);
      this.exact &&= this.#memory.bytes.subarray(0, result).every((byte, at) => byte === expected[at]);
      this.received += result;
    } else if (result === 0) {
      this.ending = "fin";
    } else if (this.#libc.errno() !== EAGAIN) {
      this.ending = "reset";
    }
    return Math.max(0, result);
  }

  /** Reads as fast as it comes until the end of the session. */
  async readToEnd(): Promise<"fin" | "reset"> {
    await until("the session's end", () => {
      while (this.ending === null && this.read(PIECE_BYTES) > 0);
      return this.ending !== null;
    });
    return this.ending!;
  }

  /** Reads `bytesPerSecond` until the end, or until `bytes` have come in all. */
  async readSlowly(bytesPerSecond: number, bytes: number): Promise<void> {
    const startMs = performance.now();
    const before = this.received;
    while (this.ending === null && this.received < bytes) {
      const due = before + ((performance.now() - startMs) / 1000) * bytesPerSecond;
      while (this.ending === null && this.received < Math.min(due, bytes)) {
        if (this.read(Math.ceil(due - this.received)) === 0) break;
      }
      await Bun.sleep(10); // its pace
    }
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }
}
