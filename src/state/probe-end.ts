import type { Address } from "../net/address.ts";
import { type SharedTables, WORD } from "./shared.ts";

/**
 * The server's own readiness probe is told from clients by its own end, the address and port that its socket is
 * bound to: the server speaks first and caps act at accept, so what it sends would tell too late.
 *
 * That opens no door. The socket is bound without SO_REUSEADDR and SO_REUSEPORT, so no other can be bound to the same
 * end, nor be given it by connect(2); and the end is told after the socket is bound and taken back before the probe
 * closes it. (A reset by the server makes the kernel free the port at once, whoever has the socket.) From elsewhere nobody comes with an address of this host: the kernel drops such packets (RFC 1812, 5.3.7).
 * What is left is a datagram forged on this host, by a raw socket (CAP_NET_RAW). Its answer goes to the probe's
 * socket, one for one, and ends there: the probe answers nothing, and takes nothing but what it asked. So it costs no
 * client anything, and wins its sender nothing.
 * The same port number at another address is an ordinary client's: the whole end is compared.
 */

/** What stands against a UDP source port where the probe's socket has it; the other bits are the loop guard's. */
export const PROBE_PORT = 0x80;

/** Where in the control words an end stands: its port (0 for none), then its address. */
type EndWord = typeof WORD.probeTcpEnd | typeof WORD.probeUdpEnd;

/** Tells the loops the probe's TCP end; before it connects. There is one at a time. */
export function tellTcpEnd(tables: SharedTables, address: Address, port: number): void {
  writeEnd(new Int32Array(tables.control), WORD.probeTcpEnd, address, port);
}

/** Takes the TCP end back; before its socket is closed. */
export function takeBackTcpEnd(tables: SharedTables): void {
  Atomics.store(new Int32Array(tables.control), WORD.probeTcpEnd, 0);
}

/** Tells the loops the probe's UDP end; before it sends. There is one at a time. */
export function tellUdpEnd(tables: SharedTables, address: Address, port: number): void {
  writeEnd(new Int32Array(tables.control), WORD.probeUdpEnd, address, port);
  Atomics.or(new Uint8Array(tables.sourcePorts), port, PROBE_PORT);
}

/** Takes the UDP end back; before its socket is closed. What the loop guard has against its port stands again. */
export function takeBackUdpEnd(tables: SharedTables): void {
  const port = Atomics.exchange(new Int32Array(tables.control), WORD.probeUdpEnd, 0);
  if (port !== 0) Atomics.and(new Uint8Array(tables.sourcePorts), port, ~PROBE_PORT);
}

/** Whether this is the end that stands at `word`. */
export function isProbeEnd(
  control: Int32Array,
  word: EndWord,
  a0: number,
  a1: number,
  a2: number,
  a3: number,
  port: number,
): boolean {
  return (
    Atomics.load(control, word) === port &&
    port !== 0 &&
    Atomics.load(control, word + 4) === a3 &&
    Atomics.load(control, word + 3) === a2 &&
    Atomics.load(control, word + 2) === a1 &&
    Atomics.load(control, word + 1) === a0
  );
}

/** The port last: it makes the end hold. */
function writeEnd(control: Int32Array, word: EndWord, { a0, a1, a2, a3 }: Address, port: number): void {
  Atomics.store(control, word, 0);
  Atomics.store(control, word + 1, a0);
  Atomics.store(control, word + 2, a1);
  Atomics.store(control, word + 3, a2);
  Atomics.store(control, word + 4, a3);
  Atomics.store(control, word, port);
}
