import type { Pointer } from "bun:ffi";
import { type Address, isIPv4 } from "../../src/net/address.ts";
import {
  AF_INET,
  AF_INET6,
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINTR,
  EMFILE,
  ENFILE,
  type Libc,
  loadLibc,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { SOCKADDR_BYTES, writeSockaddr } from "../../src/sys/sockaddr.ts";
import { abortiveClose, localEnd } from "../../src/sys/socket.ts";

/** Bytes that one `send` or `receive` moves at most. */
const OWN_SOCKET_BYTES = 1024;

const CODES: Readonly<Record<number, string>> = {
  [EADDRNOTAVAIL]: "EADDRNOTAVAIL",
  [ECONNREFUSED]: "ECONNREFUSED",
  [ECONNRESET]: "ECONNRESET",
  [EMFILE]: "EMFILE",
  [ENFILE]: "ENFILE",
};

const NONE = -1;

/**
 * A TCP client's socket whose own end is known before it connects: bound to the address that it will dial and to any
 * free port, without SO_REUSEADDR and SO_REUSEPORT. While it is open nobody else can have that end. Never blocks.
 *
 * Its calls return the system's name of what failed, or null; `send` and `receive` "EAGAIN" where it is to be tried
 * again. Linux only: making one throws elsewhere.
 */
export class OwnSocket {
  readonly #libc: Libc = loadLibc();
  readonly #memory = nativeMemory(OWN_SOCKET_BYTES + SOCKADDR_BYTES);
  #fd = NONE;
  /** The port it is bound to, once it is open. */
  port = 0;
  /** What the latest `receive` took: a window that the next one overwrites. */
  received: Uint8Array = this.#memory.bytes.subarray(0, 0);

  get isOpen(): boolean {
    return this.#fd !== NONE;
  }

  /** Opens it and binds it to `address`. */
  open(address: Address): string | null {
    const family = isIPv4(address) ? AF_INET : AF_INET6;
    const fd = this.#libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return this.#code();
    const length = writeSockaddr(this.#memory.view, OWN_SOCKET_BYTES, family, address, 0);
    if (this.#libc.bind(fd, this.#sockaddr(), length) < 0) {
      const code = this.#code();
      this.#libc.close(fd);
      return code;
    }
    this.#fd = fd;
    ({ port: this.port } = localEnd(fd));
    return null;
  }

  /** Begins to connect to `port` of `address`, the one it is bound to. Whether it succeeds, `send` will tell. */
  connect(address: Address, port: number): string | null {
    const family = isIPv4(address) ? AF_INET : AF_INET6;
    const length = writeSockaddr(this.#memory.view, OWN_SOCKET_BYTES, family, address, port);
    if (this.#libc.connect(this.#fd, this.#sockaddr(), length) === 0) return null;
    const errno = this.#libc.errno();
    return errno === EINPROGRESS || errno === EINTR ? null : codeOf(errno);
  }

  /** Sends `bytes`, of which the kernel takes all or nothing while they are few. */
  send(bytes: Uint8Array): string | null {
    this.#memory.bytes.set(bytes);
    const sent = this.#libc.send(this.#fd, this.#memory.address as Pointer, bytes.length, MSG_NOSIGNAL);
    return sent >= 0 ? null : this.#code();
  }

  /** Takes what is there into `received`; none of it where the peer has sent its FIN. */
  receive(): string | null {
    const length = this.#libc.recv(this.#fd, this.#memory.address as Pointer, OWN_SOCKET_BYTES, 0);
    if (length < 0) return this.#code();
    this.received = this.#memory.bytes.subarray(0, length);
    return null;
  }

  /** Closes it by a reset: no TIME_WAIT is left of it, however often it is done. */
  close(): void {
    if (this.#fd === NONE) return;
    abortiveClose(this.#fd);
    this.#fd = NONE;
  }

  #sockaddr(): Pointer {
    return (this.#memory.address + OWN_SOCKET_BYTES) as Pointer;
  }

  #code(): string {
    return codeOf(this.#libc.errno());
  }
}

function codeOf(errno: number): string {
  if (errno === EAGAIN || errno === EINTR) return "EAGAIN";
  return CODES[errno] ?? `error ${errno}`;
}
