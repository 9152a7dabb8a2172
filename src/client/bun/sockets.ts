import type { Sockets } from "../sockets.ts";
import { dialByBun } from "./dial.ts";
import { openUdpByBun } from "./udp.ts";

/** Sockets of Bun's alone: they work wherever Bun runs, and do not tell who sent an ICMP, TTL, fragments or the path MTU. */
export function bunSockets(): Sockets {
  return { dial: dialByBun, openUdp: openUdpByBun, bySystemCalls: false };
}
