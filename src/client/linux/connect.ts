import type { Pointer } from "bun:ffi";
import { isIPv4, wildcardOf } from "../../net/address.ts";
import { type Endpoint, ownEndTo } from "../../net/endpoint.ts";
import {
  AF_INET,
  AF_INET6,
  EADDRNOTAVAIL,
  EINPROGRESS,
  IPPROTO_TCP,
  IPPROTO_UDP,
  loadLibc,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../sys/libc.ts";
import { writeSockaddr } from "../../sys/sockaddr.ts";
import { interfaceNumber, localEnd, setOption, socketScratch } from "../../sys/socket.ts";
import type { Source } from "../dial.ts";
import { Failure, meaningOnBind, meaningOnConnect } from "../failure.ts";
import { failureOf } from "./errno.ts";

/** The family of sockets that reach this end. */
export function familyOf({ address }: Endpoint): number {
  return isIPv4(address) ? AF_INET : AF_INET6;
}

/** Why there is no way to a link-local end where this machine has no interface of its zone's name. */
export function noSuchZone(target: Endpoint): Failure | null {
  return target.zone === undefined || scopeOf(target) > 0 ? null : new Failure("unreachable", 0, "ENODEV");
}

/** A TCP socket that is bound where it was asked to be, and not connected. */
export function openTcpSocket(target: Endpoint, source: Source): number | Failure {
  const nowhere = noSuchZone(target);
  if (nowhere !== null) return nowhere;
  const libc = loadLibc();
  const fd = libc.socket(familyOf(target), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return failureOf(libc.errno(), meaningOnConnect);
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1); // as Bun's own sockets have it
  const failure = bindTcp(fd, source, target);
  if (failure === null) return fd;
  libc.close(fd);
  return failure;
}

/** Begins to connect. Null where that is under way, or done. */
export function connectSocket(fd: number, target: Endpoint): Failure | null {
  const libc = loadLibc();
  if (libc.connect(fd, ...sockaddr(target)) === 0) return null;
  const errno = libc.errno();
  if (errno === EINPROGRESS) return null;
  const noAddress = errno === EADDRNOTAVAIL && !hasAddressFor(target);
  return failureOf(errno, noAddress ? () => "no_such_address" : meaningOnConnect);
}

/**
 * Whether this machine has an address from which that end can be reached. EADDRNOTAVAIL of connect(2) means that it has
 * none, of IPv6 say, and that it has no port left as well; of a UDP socket it means the first alone.
 */
function hasAddressFor(target: Endpoint): boolean {
  const libc = loadLibc();
  const fd = libc.socket(familyOf(target), SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return true;
  const lacks = libc.connect(fd, ...sockaddr(target)) !== 0 && libc.errno() === EADDRNOTAVAIL;
  libc.close(fd);
  return !lacks;
}

function bindTcp(fd: number, source: Source, target: Endpoint): Failure | null {
  const { address, port = 0, bound } = source;
  if (address === undefined && port === 0 && bound === undefined) return null;
  // A port whose last session is in TIME-WAIT may be taken again, to see once more what that flow saw.
  if (port !== 0) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const failure = bindSocket(fd, source, target);
  if (failure === null) bound?.(localEnd(fd).port);
  return failure;
}

/** Binds a socket to the address and port that were asked for, of the target's family; to any where none was. */
export function bindSocket(fd: number, { address, port = 0 }: Source, target: Endpoint): Failure | null {
  const libc = loadLibc();
  if (libc.bind(fd, ...sockaddr({ ...target, address: address ?? wildcardOf(target.address), port })) === 0)
    return null;
  return failureOf(libc.errno(), (error) => meaningOnBind(error, port));
}

/** The end that a socket is bound to, in the words of the target: its zone where it needs one. */
export function ownEnd(fd: number, target: Endpoint): Endpoint {
  const { a0, a1, a2, a3, port } = localEnd(fd);
  return ownEndTo(target, { a0, a1, a2, a3 }, port);
}

/** The number of an interface, which is what a zone is to the kernel; 0 for none, and where there is none of that name. */
export function scopeOf({ zone }: Endpoint): number {
  if (zone === undefined) return 0;
  return /^\d+$/.test(zone) ? Number(zone) : interfaceNumber(zone);
}

/** An address as a system call takes it, for the very next one. */
function sockaddr(endpoint: Endpoint): [Pointer, number] {
  const { address, port } = endpoint;
  const scope = scopeOf(endpoint);
  const memory = socketScratch();
  const length = writeSockaddr(memory.view, 0, familyOf(endpoint), address, port, scope);
  return [memory.address as Pointer, length];
}
