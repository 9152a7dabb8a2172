import { hasLibc } from "../../sys/libc.ts";
import type { Sockets } from "../sockets.ts";
import { dialByCalls } from "./dial.ts";
import { closeReactor } from "./reactor.ts";
import { openUdpByCalls } from "./udp.ts";

/**
 * Sockets by system calls, which tell all that Linux knows of them. They are for a thread of their own: its loop blocks
 * it (`reactor.ts`). Null where libc cannot be loaded.
 */
export function linuxSockets(): Sockets | null {
  return hasLibc() ? { dial: dialByCalls, openUdp: openUdpByCalls, bySystemCalls: true } : null;
}

/** Closes all such sockets of this thread that are open, and its loop. To be called before the thread ends. */
export function closeLinuxSockets(): void {
  closeReactor();
}
