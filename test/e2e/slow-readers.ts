import {
  AF_INET,
  EAGAIN,
  loadLibc,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../src/sys/libc.ts";
import type { Target } from "./net.ts";

/**
 * TCP clients that send as much as is taken and read nothing. Their kernel buffers are as small as Linux allows, so
 * what they fill is the server's side; they are sockets of libc's, because Bun's always read.
 */
export class SlowReaders implements Disposable {
  /** Bytes that the server's side has taken from all of them. */
  taken = 0;
  readonly #libc = loadLibc();
  readonly #descriptors: number[] = [];
  readonly #chunk = new Uint8Array(64 * 1024).fill(0x78);

  get count(): number {
    return this.#descriptors.length;
  }

  /** Connects one more. @throws when that fails */
  open({ host, port }: Target): void {
    const fd = this.#libc.socket(AF_INET, SOCK_STREAM, 0);
    if (fd === -1) throw new Error(`socket: errno ${this.#libc.errno()} after ${this.count}`);
    this.#descriptors.push(fd);
    const size = new Int32Array([4096]);
    for (const option of [SO_RCVBUF, SO_SNDBUF]) this.#libc.setsockopt(fd, SOL_SOCKET, option, size, 4);
    // struct sockaddr_in: the family in the machine's order, port and address in the network's
    const address = new Uint8Array(16);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    for (const [at, part] of host.split(".").entries()) view.setUint8(4 + at, Number(part));
    if (this.#libc.connect(fd, address, 16) === -1) throw new Error(`connect: errno ${this.#libc.errno()}`);
  }

  /** Sends what every one of them gets rid of without waiting, once over. Returns the bytes that were taken. */
  push(): number {
    let pushed = 0;
    for (const fd of this.#descriptors) {
      for (;;) {
        const sent = this.#libc.send(fd, this.#chunk, this.#chunk.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent === -1) {
          const errno = this.#libc.errno();
          if (errno !== EAGAIN) throw new Error(`send: errno ${errno}: the server did not keep the session`);
          break;
        }
        pushed += sent;
      }
    }
    this.taken += pushed;
    return pushed;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#descriptors) this.#libc.close(fd);
    this.#descriptors.length = 0;
  }
}
