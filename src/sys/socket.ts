import type { Pointer } from "bun:ffi";
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_OMIT,
  IPPROTO_IP,
  IPPROTO_TCP,
  loadLibc,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MEMINFO,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from "./libc.ts";
import { type NativeMemory, nativeMemory } from "./memory.ts";
import { SOCKADDR_BYTES, Sockaddr } from "./sockaddr.ts";

/** Connections that may wait to be accepted on a listener (the kernel caps it at net.core.somaxconn). */
export const BACKLOG = 4096;

/** Keepalive probes in a row that must go unanswered, and the time between two, if the idle time is not less. */
const KEEPALIVE_PROBES = 4;
const KEEPALIVE_INTERVAL_S = 15;

/** The address a socket is bound to. */
export function localEnd(fd: number): Sockaddr {
  const memory = socketScratch();
  memory.view.setInt32(64, SOCKADDR_BYTES, true);
  const address = memory.address as Pointer;
  if (loadLibc().getsockname(fd, address, (memory.address + 64) as Pointer) < 0) return new Sockaddr();
  return new Sockaddr().read(memory.view, 0);
}

/** Whether a TCP socket is connected: getpeername(2) names the other end of one that is, and of no other. */
export function isConnected(fd: number): boolean {
  const memory = socketScratch();
  memory.view.setInt32(64, SOCKADDR_BYTES, true);
  return loadLibc().getpeername(fd, memory.address as Pointer, (memory.address + 64) as Pointer) === 0;
}

/** setsockopt(2) of an int; false where the kernel refuses. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const memory = socketScratch();
  memory.view.setInt32(96, value, true);
  return loadLibc().setsockopt(fd, level, option, (memory.address + 96) as Pointer, 4) === 0;
}

/** The error that waits in a socket, which is taken by asking (socket(7), SO_ERROR); 0 for none. */
export function takeError(fd: number): number {
  const memory = socketScratch();
  memory.view.setInt32(96, 0, true);
  memory.view.setInt32(100, 4, true);
  const [value, length] = [memory.address + 96, memory.address + 100] as [Pointer, Pointer];
  loadLibc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length);
  return memory.view.getInt32(96, true);
}

/** Words of SO_MEMINFO, and the one that counts what was thrown away (linux/sock_diag.h, SK_MEMINFO_DROPS). */
const MEMINFO_WORDS = 9;
const MEMINFO_DROPS = 8;

/**
 * Datagrams that the kernel threw away when they came to a socket: its buffer was full; some kernels count wrong
 * checksums, too. 0 where it does not say.
 */
export function droppedAt(fd: number): number {
  const { view, address } = socketScratch();
  view.setInt32(64, 4 * MEMINFO_WORDS, true);
  const [value, length] = [address, address + 64] as [Pointer, Pointer];
  const result = loadLibc().getsockopt(fd, SOL_SOCKET, SO_MEMINFO, value, length);
  const told = result === 0 && view.getInt32(64, true) > 4 * MEMINFO_DROPS;
  return told ? view.getUint32(4 * MEMINFO_DROPS, true) : 0;
}

/** Has the kernel ask a silent peer whether it is still there, and end the connection where it is not (tcp(7)). */
export function setKeepAlive(fd: number, idleMs: number): void {
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
  const memory = socketScratch();
  memory.view.setInt32(100, 1, true);
  memory.view.setInt32(104, 0, true);
  loadLibc().setsockopt(fd, SOL_SOCKET, SO_LINGER, (memory.address + 100) as Pointer, 8);
  loadLibc().close(fd);
}

/** The number of an interface that has this name, which fits IFNAMSIZ (netdevice(7)); 0 where there is none. */
export function interfaceNumber(name: string): number {
  const memory = socketScratch();
  const { written } = new TextEncoder().encodeInto(name, memory.bytes.subarray(0, 63));
  memory.bytes[written] = 0;
  return loadLibc().if_nametoindex(memory.address as Pointer);
}

let scratch: NativeMemory | null = null;

/** Memory of this thread for the arguments of one system call: nothing in it outlives the call. */
export function socketScratch(): NativeMemory {
  scratch ??= nativeMemory(128);
  return scratch;
}
