import type { Pointer } from "bun:ffi";
import { isIPv4, parseAddress } from "../../src/net/address.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  loadLibc,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { writeSockaddr } from "../../src/sys/sockaddr.ts";

const EINPROGRESS = 115;
const UDP_BUFFER_BYTES = 1024 * 1024;

const libc = loadLibc();
const memory = nativeMemory(128);
const OPTION = 40;
const SOURCE = 64;

/** Ports of one loopback address that sessions come from. */
const FIRST_LOOPBACK_PORT = 20_000;
const LOOPBACK_PORTS = 40_000;

/** Opens client sockets to one target; non-blocking, closed by a reset so that no port stays in TIME-WAIT. */
export class Dialer {
  readonly #family: number;
  readonly #length: number;
  readonly #port: number;

  /** `host` is an IP literal. */
  constructor(host: string, port: number) {
    const address = parseAddress(host);
    if (address === null) throw new Error(`${host} is not an IP address`);
    this.#family = isIPv4(address) ? AF_INET : AF_INET6;
    this.#length = writeSockaddr(memory.view, 0, this.#family, address, port);
    this.#port = port;
  }

  /** A TCP socket that is connected or on its way; writable once it is. Throws where that cannot be. */
  tcp(): number {
    const fd = this.#open(SOCK_STREAM);
    setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    memory.view.setInt32(OPTION, 1, true);
    memory.view.setInt32(OPTION + 4, 0, true);
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, (memory.address + OPTION) as Pointer, 8);
    return this.#connect(fd);
  }

  /** A UDP socket that is connected: it hears the target only. */
  udp(): number {
    const fd = this.#open(SOCK_DGRAM);
    setInt(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    setInt(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    return this.#connect(fd);
  }

  /**
   * A UDP socket as `udp`, from an address and port of its own on the loopback network, so that there can be more
   * sessions than one address has free ports. Throws where the port is taken or the target is not on loopback.
   */
  udpFromLoopback(number: number): number {
    const source = memory.address + SOURCE;
    const host = `127.0.${1 + Math.floor(number / LOOPBACK_PORTS)}.1`;
    const port = FIRST_LOOPBACK_PORT + (number % LOOPBACK_PORTS);
    // Servers refuse their own port as a source: it could be a forged packet to go round in circles.
    if (port === this.#port) throw new Error(`${port} is the target's port`);
    const length = writeSockaddr(memory.view, SOURCE, AF_INET, parseAddress(host)!, port);
    const fd = this.#open(SOCK_DGRAM);
    if (libc.bind(fd, source as Pointer, length) < 0) {
      libc.close(fd);
      throw new Error(`${host}:${port} is taken`);
    }
    return this.#connect(fd);
  }

  #open(type: number): number {
    const fd = libc.socket(this.#family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error(`no socket: error ${libc.errno()}; is the open-file limit too low?`);
    return fd;
  }

  #connect(fd: number): number {
    if (libc.connect(fd, memory.address as Pointer, this.#length) < 0) {
      const errno = libc.errno();
      if (errno !== EINPROGRESS) {
        libc.close(fd);
        throw new Error(`no connection: error ${errno}`);
      }
    }
    return fd;
  }
}

function setInt(fd: number, level: number, option: number, value: number): void {
  memory.view.setInt32(OPTION, value, true);
  libc.setsockopt(fd, level, option, (memory.address + OPTION) as Pointer, 4);
}
