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
import { hostPort, reason } from "./reason.ts";

const EINPROGRESS = 115;
const SO_ERROR = 4;
/** As SO_SNDBUF and SO_RCVBUF, past the machine's maximum: for root alone (socket(7)). */
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
/** Nine words on a socket's memory, the last of them what it dropped (linux/sock_diag.h). */
const SO_MEMINFO = 55;
const MEMINFO_WORDS = 9;
const UDP_BUFFER_BYTES = 8 * 1024 * 1024;

const libc = loadLibc();
const memory = nativeMemory(192);
const OPTION = 40;
const SOURCE = 96;
const LENGTH = 136;

/** Ports of one loopback address that sessions come from. */
const FIRST_LOOPBACK_PORT = 20_000;
const LOOPBACK_PORTS = 40_000;

/** Opens client sockets to one target; non-blocking, closed by a reset so that no port stays in TIME-WAIT. */
export class Dialer {
  readonly #family: number;
  readonly #length: number;
  readonly #host: string;
  readonly #port: number;
  readonly #source: string | null;

  /**
   * @param host an IP literal
   * @param source the address to come from, an IP literal; null: as the system chooses
   */
  constructor(host: string, port: number, source: string | null) {
    const address = parseAddress(host);
    if (address === null) throw new Error(`${host} is not an IP address`);
    this.#family = isIPv4(address) ? AF_INET : AF_INET6;
    this.#length = writeSockaddr(memory.view, 0, this.#family, address, port);
    this.#host = host;
    this.#port = port;
    this.#source = source;
  }

  /** Says which target could not be reached, and why. */
  failure(errno: number): string {
    return `no connection to ${hostPort(this.#host, this.#port)}: ${reason(errno)}`;
  }

  /** A TCP socket that is connected or on its way; writable once it is. Throws where that cannot be. */
  tcp(): number {
    const fd = this.#open(SOCK_STREAM);
    setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    memory.view.setInt32(OPTION, 1, true);
    memory.view.setInt32(OPTION + 4, 0, true);
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, (memory.address + OPTION) as Pointer, 8);
    if (this.#source !== null) this.#bind(fd, this.#source, 0);
    return this.#connect(fd);
  }

  /** A UDP socket that is connected: it hears the target only. */
  udp(): number {
    const fd = this.#open(SOCK_DGRAM);
    if (setInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER_BYTES) < 0)
      setInt(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    if (setInt(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_BUFFER_BYTES) < 0)
      setInt(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    if (this.#source !== null) this.#bind(fd, this.#source, 0);
    return this.#connect(fd);
  }

  /**
   * A UDP socket as `udp`, from an address and port of its own on the loopback network, so that there can be more
   * sessions than one address has free ports. Throws where the port is taken or the target is not on loopback.
   */
  udpFromLoopback(number: number): number {
    const host = `127.0.${1 + Math.floor(number / LOOPBACK_PORTS)}.1`;
    const port = FIRST_LOOPBACK_PORT + (number % LOOPBACK_PORTS);
    // Servers refuse their own port as a source: it could be a forged packet to go round in circles.
    if (port === this.#port) throw new Error(`${port} is the target's port`);
    const fd = this.#open(SOCK_DGRAM);
    this.#bind(fd, host, port);
    return this.#connect(fd);
  }

  #open(type: number): number {
    const fd = libc.socket(this.#family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error(`no socket: ${reason(libc.errno())}`);
    return fd;
  }

  #bind(fd: number, host: string, port: number): void {
    const address = parseAddress(host)!;
    const family = isIPv4(address) ? AF_INET : AF_INET6;
    const length = writeSockaddr(memory.view, SOURCE, family, address, port);
    if (libc.bind(fd, (memory.address + SOURCE) as Pointer, length) === 0) return;
    const errno = libc.errno();
    libc.close(fd);
    const why = family === this.#family ? reason(errno) : "it is of another family than the target";
    throw new Error(`cannot come from ${hostPort(host, port)}: ${why}`);
  }

  #connect(fd: number): number {
    if (libc.connect(fd, memory.address as Pointer, this.#length) < 0) {
      const errno = libc.errno();
      if (errno !== EINPROGRESS) {
        libc.close(fd);
        throw new Error(this.failure(errno));
      }
    }
    return fd;
  }
}

/** The error that waits on a socket, which is gone then; 0 for none. */
export function pendingError(fd: number): number {
  getInts(fd, SO_ERROR, 4);
  return memory.view.getInt32(OPTION, true);
}

/** Datagrams that came when the socket's buffer was full. */
export function droppedBy(fd: number): number {
  if (getInts(fd, SO_MEMINFO, MEMINFO_WORDS * 4) < 0) return 0;
  return memory.view.getUint32(OPTION + (MEMINFO_WORDS - 1) * 4, true);
}

function getInts(fd: number, option: number, bytes: number): number {
  memory.view.setInt32(LENGTH, bytes, true);
  const [value, length] = [memory.address + OPTION, memory.address + LENGTH];
  return libc.getsockopt(fd, SOL_SOCKET, option, value as Pointer, length as Pointer);
}

function setInt(fd: number, level: number, option: number, value: number): number {
  memory.view.setInt32(OPTION, value, true);
  return libc.setsockopt(fd, level, option, (memory.address + OPTION) as Pointer, 4);
}
