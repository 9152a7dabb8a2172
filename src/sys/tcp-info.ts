import type { Pointer } from "bun:ffi";
import { IPPROTO_TCP, loadLibc, TCP_INFO } from "./libc.ts";
import { type NativeMemory, nativeMemory } from "./memory.ts";

/** Where in `struct tcp_info` (linux/tcp.h): bytes, bytes, microseconds, segments, bytes. */
const SENDING_MSS = 16;
const PATH_MTU = 60;
const ROUND_TRIP_MICROS = 68;
const RETRANSMITS = 100;
const ACKNOWLEDGED = 120;
/** All that is needed; and with what Linux 4.2 has added (tcpi_bytes_acked). */
const TCP_INFO_BYTES_MIN = 104;
const TCP_INFO_BYTES = 128;
const LENGTH = TCP_INFO_BYTES;

let memory: NativeMemory | null = null;

/** What the kernel knows of a connection and its path (tcp(7), TCP_INFO). */
export interface TcpInfo {
  /** Largest segment that is sent, bytes of payload. */
  readonly mss: number;
  /** Path MTU: largest IP packet, bytes. */
  readonly pathMtu: number;
  /** Segments sent again since the connection began, its SYN included. */
  readonly retransmits: number;
  /** Smoothed round trip as the kernel measures it, ms: after the handshake the SYN's, unless that was sent again. */
  readonly roundTripMs: number;
  /** Bytes that the other end's kernel has acknowledged, its answer to the SYN included; null where not told. */
  readonly acknowledgedBytes: number | null;
}

/** Asks the kernel (tcp(7), TCP_INFO); null where it does not tell all of it. */
export function tcpInfo(fd: number): TcpInfo | null {
  memory ??= nativeMemory(LENGTH + 4);
  const { address, view } = memory;
  view.setUint32(LENGTH, TCP_INFO_BYTES, true);
  const length = (address + LENGTH) as Pointer;
  const result = loadLibc().getsockopt(fd, IPPROTO_TCP, TCP_INFO, address as Pointer, length);
  const told = view.getUint32(LENGTH, true);
  if (result < 0 || told < TCP_INFO_BYTES_MIN) return null;
  return {
    mss: view.getUint32(SENDING_MSS, true),
    pathMtu: view.getUint32(PATH_MTU, true),
    retransmits: view.getUint32(RETRANSMITS, true),
    roundTripMs: view.getUint32(ROUND_TRIP_MICROS, true) / 1000,
    acknowledgedBytes: told < TCP_INFO_BYTES ? null : Number(view.getBigUint64(ACKNOWLEDGED, true)),
  };
}
