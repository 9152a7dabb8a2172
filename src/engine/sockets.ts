import type { Pointer } from "bun:ffi";
import { StartError } from "../errors.ts";
import { type Address, formatEndpoint, isIPv4, MAPPED, parseAddress } from "../rules/address.ts";
import {
  AF_INET,
  AF_INET6,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EPERM,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_OMIT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  loadLibc,
  nativeMemory,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../sys/libc.ts";
import { bindFailure } from "./bind-error.ts";

/** A bound socket that a loop reads from. Plain data: it is handed to the loop's Worker. */
export interface BoundSocket {
  readonly fd: number;
  readonly address: Address;
  readonly port: number;
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** Bound to every address of the host: where a packet went must be asked for each. */
  readonly wildcard: boolean;
}

/** Room for any sockaddr; `sockaddr_in6` has 28 bytes, `sockaddr_in` 16. */
export const SOCKADDR_BYTES = 28;

/** Kernel buffers of a UDP socket: a burst of some thousand datagrams must not be lost before the loop turns. */
const UDP_BUFFER_BYTES = 4 * 1024 * 1024;

/** Connections that may wait to be accepted (the kernel caps it at net.core.somaxconn). */
export const BACKLOG = 4096;

/** Keepalive probes in a row that must go unanswered, and the time between two, if the idle time is not less. */
const KEEPALIVE_PROBES = 4;
const KEEPALIVE_INTERVAL_S = 15;

/** Tries to find one free port for all of a host's sockets, where any will do. */
const PORT_TRIES = 20;

/** Writes a sockaddr at `at` of `view`; returns its length. */
export function writeSockaddr(
  view: DataView,
  at: number,
  family: number,
  address: Address,
  port: number,
): number {
  view.setUint16(at, family, true);
  view.setUint16(at + 2, port);
  if (family === AF_INET) {
    view.setInt32(at + 4, address.a3);
    view.setInt32(at + 8, 0);
    view.setInt32(at + 12, 0);
    return 16;
  }
  view.setInt32(at + 4, 0);
  view.setInt32(at + 8, address.a0);
  view.setInt32(at + 12, address.a1);
  view.setInt32(at + 16, address.a2);
  view.setInt32(at + 20, address.a3);
  view.setInt32(at + 24, 0);
  return 28;
}

/** A sockaddr read into numbers; one is made per loop and used again for every connection. */
export class Sockaddr implements Address {
  a0 = 0;
  a1 = 0;
  a2 = 0;
  a3 = 0;
  port = 0;

  /** Reads the sockaddr at `at` of `view`. */
  read(view: DataView, at: number): this {
    this.port = view.getUint16(at + 2);
    if (view.getUint16(at, true) === AF_INET) {
      this.a0 = 0;
      this.a1 = 0;
      this.a2 = MAPPED;
      this.a3 = view.getInt32(at + 4);
    } else {
      this.a0 = view.getInt32(at + 8);
      this.a1 = view.getInt32(at + 12);
      this.a2 = view.getInt32(at + 16);
      this.a3 = view.getInt32(at + 20);
    }
    return this;
  }
}

/**
 * Who shares a port. `alone`: nobody can. `first`: it is bound as if alone, so that a port in use shows, and opened to
 * others (SO_REUSEPORT) once it is bound, before anybody can connect. `joining`: it joins the first.
 */
export type Sharing = "alone" | "first" | "joining";

/**
 * Opens the TCP listeners of one loop, one per host. `::` takes IPv4 too, unless `0.0.0.0` is listed as well.
 * @param keepAliveMs idle time until a peer is asked whether it is still there; 0: it is not asked
 * @throws StartError in one line: in use, no permission, no such address
 */
export function listenTcp(
  hosts: readonly string[],
  port: number,
  sharing: Sharing,
  keepAliveMs = 0,
): BoundSocket[] {
  return bindHosts(hosts, "tcp", port, sharing, keepAliveMs);
}

/**
 * Opens the UDP sockets of one loop. `::` becomes two, one per family: an IPv4 datagram then costs no mapping.
 * @throws StartError as `listenTcp`
 */
export function bindUdp(hosts: readonly string[], port: number, sharing: Sharing): BoundSocket[] {
  const all = hosts.includes("::") && !hosts.includes("0.0.0.0") ? [...hosts, "0.0.0.0"] : hosts;
  return bindHosts(all, "udp", port, sharing, 0);
}

function bindHosts(
  hosts: readonly string[],
  protocol: "tcp" | "udp",
  port: number,
  sharing: Sharing,
  keepAliveMs: number,
): BoundSocket[] {
  const only6 = protocol === "udp" || hosts.includes("0.0.0.0");
  for (let attempt = 1; ; attempt++) {
    const bound: BoundSocket[] = [];
    try {
      for (const host of hosts) {
        const socket = bindOne(host, protocol, bound[0]?.port ?? port, sharing, only6, keepAliveMs);
        if (socket !== null) bound.push(socket);
      }
      if (bound.length === 0) throw new StartError(`${protocol}: no IPv6 on this host; use --host 0.0.0.0`);
      return bound;
    } catch (error) {
      for (const { fd } of bound) loadLibc().close(fd);
      // The free port of the first host may be taken on the second: another may be free on all.
      const retry = port === 0 && bound.length > 0 && attempt < PORT_TRIES;
      if (!retry) throw error;
    }
  }
}

/** One bound (and listening) socket; null for `::` where there is no IPv6 and 0.0.0.0 is bound beside it. */
function bindOne(
  host: string,
  protocol: "tcp" | "udp",
  port: number,
  sharing: Sharing,
  only6: boolean,
  keepAliveMs: number,
): BoundSocket | null {
  const address = parseAddress(host);
  if (address === null) throw new StartError(`${protocol}: --host ${host} is not an IP address`);
  const family = isIPv4(address) ? AF_INET : AF_INET6;
  const libc = loadLibc();
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  const fd = libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    const errno = libc.errno();
    if (errno === EAFNOSUPPORT && host === "::")
      return only6 ? null : bindOne("0.0.0.0", protocol, port, sharing, only6, keepAliveMs);
    throw failure(protocol, host, port, errno);
  }
  if (family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, only6 ? 1 : 0);
  if (sharing === "joining") setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  const wildcard = address.a0 === 0 && address.a1 === 0 && address.a3 === 0;
  if (protocol === "tcp") {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1); // what accept(2) returns inherits it, and the next
    setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1); // urgent bytes are bytes of the stream like any other
    if (keepAliveMs > 0) setKeepAlive(fd, keepAliveMs);
  } else {
    setOption(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    setOption(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    if (family === AF_INET) ignorePathMtu(fd);
    if (wildcard && family === AF_INET) setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (wildcard && family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  const memory = scratch();
  const length = writeSockaddr(memory.view, 0, family, address, port);
  const bound = libc.bind(fd, memory.address as Pointer, length) === 0;
  if (bound && sharing === "first") setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!bound || (protocol === "tcp" && libc.listen(fd, BACKLOG) < 0)) {
    const errno = libc.errno();
    libc.close(fd);
    throw failure(protocol, host, port, errno);
  }
  return { fd, address, port: localEnd(fd).port, family, wildcard };
}

/** The address a socket is bound to. */
export function localEnd(fd: number): Sockaddr {
  const memory = scratch();
  memory.view.setInt32(64, SOCKADDR_BYTES, true);
  const address = memory.address as Pointer;
  if (loadLibc().getsockname(fd, address, (memory.address + 64) as Pointer) < 0) return new Sockaddr();
  return new Sockaddr().read(memory.view, 0);
}

/** setsockopt(2) of an int; false where the kernel refuses. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const memory = scratch();
  memory.view.setInt32(96, value, true);
  return loadLibc().setsockopt(fd, level, option, (memory.address + 96) as Pointer, 4) === 0;
}

/** Has the kernel ask a silent peer whether it is still there, and end the connection where it is not (tcp(7)). */
function setKeepAlive(fd: number, idleMs: number): void {
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  const idleSeconds = Math.round(idleMs / 1000);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, idleSeconds);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Math.min(idleSeconds, KEEPALIVE_INTERVAL_S));
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/**
 * An IPv4 UDP socket sends as long datagrams as its device takes, which routers may cut (ip(7)): the kernel keeps no
 * path MTU for it, since anybody can forge the news of a narrower one, and true news costs the echo it is about.
 * IPv6 has no such choice: only the sender may cut, so Packet Too Big counts there (RFC 8201).
 */
export function ignorePathMtu(fd: number): void {
  setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
}

/** Closes a connection by a reset: SO_LINGER of no time (socket(7)). */
export function abortiveClose(fd: number): void {
  const memory = scratch();
  memory.view.setInt32(100, 1, true);
  memory.view.setInt32(104, 0, true);
  loadLibc().setsockopt(fd, SOL_SOCKET, SO_LINGER, (memory.address + 100) as Pointer, 8);
  loadLibc().close(fd);
}

/** `0.0.0.0:80` or `[::]:80`. */
export function describe(socket: BoundSocket): string {
  if (socket.wildcard) return `${socket.family === AF_INET ? "0.0.0.0" : "[::]"}:${socket.port}`;
  return formatEndpoint(socket.address, socket.port);
}

const CODES: Readonly<Record<number, string>> = {
  [EADDRINUSE]: "EADDRINUSE",
  [EACCES]: "EACCES",
  [EPERM]: "EPERM",
  [EADDRNOTAVAIL]: "EADDRNOTAVAIL",
  [EAFNOSUPPORT]: "EAFNOSUPPORT",
};

function failure(protocol: "tcp" | "udp", host: string, port: number, errno: number): StartError {
  return bindFailure(protocol, host, port, CODES[errno] ?? `error ${errno}`);
}

let scratchMemory: ReturnType<typeof nativeMemory> | null = null;

function scratch() {
  scratchMemory ??= nativeMemory(128);
  return scratchMemory;
}
