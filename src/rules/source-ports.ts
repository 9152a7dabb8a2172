import type { UdpDrop } from "../state/counters.ts";

/**
 * The loop guard's marks on UDP source ports: two servers that answer each other would do so for ever. A mark is a set of
 * bits, 0 for none. `PROBE_PORT` (`state/probe-end.ts`) is one more bit of the same byte, and the control plane's own.
 */
const OWN_PORT = 1;
const BLOCKED_PORT = 2;
const PORT_ZERO = 4;

/** Marks port 0 and those that the settings block. Every loop writes the same bits. */
export function markBlockedPorts(ports: Uint8Array, blocked: readonly number[]): void {
  for (const port of blocked) Atomics.or(ports, port, BLOCKED_PORT);
  Atomics.or(ports, 0, PORT_ZERO);
}

/** Marks the port that this server itself is bound to. */
export function markOwnPort(ports: Uint8Array, port: number): void {
  Atomics.or(ports, port, OWN_PORT);
}

/** Why a datagram from a port with this mark is dropped. */
export function dropReasonOf(mark: number): UdpDrop {
  if ((mark & PORT_ZERO) !== 0) return "source_port_zero";
  return (mark & OWN_PORT) !== 0 ? "own_port" : "blocked_source_port";
}
