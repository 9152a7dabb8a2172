import type { udp } from "bun";

/** Stale news that one send may meet at most. */
const TRIES = 4;

/**
 * Sends a datagram, whatever became of those before it: the kernel tells of a client's closed port by failing a later
 * send, whoever that goes to, and the next try goes. For servers of tests, whose clients come and go; they have a handler
 * for errors too, or the same news would end the process.
 */
export function sendTo(
  socket: Pick<udp.Socket<"buffer">, "send" | "closed">,
  bytes: Uint8Array | string,
  port: number,
  address: string,
): void {
  for (let tries = 0; tries < TRIES && !socket.closed; tries++) {
    try {
      socket.send(bytes, port, address);
      return;
    } catch {
      // News of another one: this datagram did not go.
    }
  }
}
