import type { Pointer } from "bun:ffi";
import { StartError } from "../errors.ts";
import { isIPv4, parseAddress } from "../net/address.ts";
import { bindFailure } from "../net/bind-failure.ts";
import type { Endpoint } from "../net/endpoint.ts";
import {
  AF_INET,
  AF_INET6,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EPERM,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  loadLibc,
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
  TCP_NODELAY,
} from "../sys/libc.ts";
import { writeSockaddr } from "../sys/sockaddr.ts";
import { BACKLOG, ignorePathMtu, localEnd, setKeepAlive, setOption, socketScratch } from "../sys/socket.ts";

/** A bound socket that a loop reads from. Plain data: it is handed to the loop's Worker. */
export interface BoundSocket extends Endpoint {
  readonly fd: number;
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** Bound to every address of the host: where a packet went must be asked for each. */
  readonly wildcard: boolean;
}

/** Kernel buffers of a UDP socket: a burst of some thousand datagrams must not be lost before the loop turns. */
const UDP_BUFFER_BYTES = 4 * 1024 * 1024;

/** Tries to find one free port for all of a host's sockets, where any will do. */
const PORT_TRIES = 20;

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
  const memory = socketScratch();
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
