import { dlopen, ptr } from "bun:ffi";
import { type Address, MAPPED } from "../../src/net/address.ts";

/**
 * UDP clients whose every call is done when it returns, so that a test says which datagrams lie in a server's socket, and in
 * which order. They share nothing with the server but the notion of an address.
 */

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  recvfrom: { args: ["i32", "ptr", "u64", "i32", "ptr", "ptr"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
});

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_BROADCAST = 6;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const BUFFER_BYTES = 8 * 1024 * 1024;

/** A datagram as it came: `from` is `address words,port`. */
export interface Arrived {
  readonly from: string;
  readonly bytes: Buffer;
}

/** The end's name in `Arrived.from`. */
export function endName({ a0, a1, a2, a3 }: Address, port: number): string {
  return [a0, a1, a2, a3, port].join();
}

export class SyncUdp implements Disposable {
  readonly port: number;
  readonly #fd: number;
  readonly #into = Buffer.alloc(65536);

  /**
   * @param port 0 for any free one
   * @param scope the number of the interface that a link-local address, and whom it talks to, is on
   */
  constructor(
    readonly address: Address,
    port = 0,
    readonly scope = 0,
  ) {
    const [name, length] = sockaddr(address, port, scope);
    this.#fd = libc.socket(family(address), SOCK_DGRAM, 0);
    const one = new Int32Array([1]);
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_BROADCAST, ptr(one), 4);
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, ptr(new Int32Array([BUFFER_BYTES])), 4);
    if (libc.bind(this.#fd, ptr(name), length) !== 0) throw new Error("bind failed");
    const lengths = new Int32Array([28]);
    libc.getsockname(this.#fd, ptr(name), ptr(lengths));
    this.port = new DataView(name.buffer).getUint16(2);
  }

  /** @throws where it was not sent */
  send(to: Address, port: number, bytes: Uint8Array): void {
    const [name, length] = sockaddr(to, port, this.scope);
    const memory = bytes.length === 0 ? new Uint8Array(1) : bytes;
    const sent = Number(libc.sendto(this.#fd, ptr(memory), bytes.length, MSG_DONTWAIT, ptr(name), length));
    if (sent !== bytes.length) throw new Error(`sendto of ${bytes.length} bytes returned ${sent}`);
  }

  /** All that lies there. */
  receiveAll(): Arrived[] {
    const all: Arrived[] = [];
    const name = new Uint8Array(28);
    for (;;) {
      const lengths = new Int32Array([28]);
      const count = Number(
        libc.recvfrom(this.#fd, ptr(this.#into), this.#into.length, MSG_DONTWAIT, ptr(name), ptr(lengths)),
      );
      if (count < 0) return all;
      all.push({ from: nameOf(name), bytes: Buffer.from(this.#into.subarray(0, count)) });
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

function family({ a0, a1, a2 }: Address): number {
  return a0 === 0 && a1 === 0 && a2 === MAPPED ? AF_INET : AF_INET6;
}

function sockaddr(address: Address, port: number, scope: number): [Uint8Array, number] {
  const name = new Uint8Array(28);
  const view = new DataView(name.buffer);
  view.setUint16(0, family(address), true);
  view.setUint16(2, port);
  const { a0, a1, a2, a3 } = address;
  if (family(address) === AF_INET) view.setInt32(4, a3);
  else for (const [at, word] of [a0, a1, a2, a3].entries()) view.setInt32(8 + at * 4, word);
  view.setUint32(24, scope, true);
  return [name, family(address) === AF_INET ? 16 : 28];
}

function nameOf(name: Uint8Array): string {
  const view = new DataView(name.buffer);
  const port = view.getUint16(2);
  if (view.getUint16(0, true) === AF_INET)
    return endName({ a0: 0, a1: 0, a2: MAPPED, a3: view.getInt32(4) }, port);
  const [a0, a1, a2, a3] = [8, 12, 16, 20].map((at) => view.getInt32(at));
  return endName({ a0: a0!, a1: a1!, a2: a2!, a3: a3! }, port);
}
