import type { Dial } from "./dial.ts";
import type { OpenUdpSocket } from "./udp-socket.ts";

/** How sessions and flows are made: one of two ways, for `TcpSession.open` and `UdpFlow.open`. */
export interface Sockets {
  readonly dial: Dial;
  readonly openUdp: OpenUdpSocket;
  /** By system calls of Linux; if not, by Bun alone, and much cannot be measured. */
  readonly bySystemCalls: boolean;
}
