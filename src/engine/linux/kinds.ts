/**
 * What a descriptor of the loop is. One look into a table by descriptor tells the loop what an event means. This file
 * owns the set, and alone knows that the sessions' kinds are those from ECHOING to LINGERING.
 */

/** Kind of a descriptor that the loop does not know. */
export const NONE = 0;
/** A TCP session with nothing queued: bytes that come are sent back at once. */
export const ECHOING = 1;
/** A TCP session whose reader is slow: nothing is read until all that is queued is sent. */
export const BLOCKED = 2;
/** A TCP session whose bytes are a PROXY header, or may be one. */
export const AWAITING_HEADER = 3;
/** A TCP session that was cut: the server's FIN is sent, and bytes that come are thrown away. */
export const LINGERING = 4;
/** A TCP listener. */
export const LISTENER = 5;
/** A UDP socket. */
export const UDP = 6;
/** The eventfd by which the control plane wakes the loop. */
export const WAKE = 7;
/** A connection of the server's own probe: echoed, and counted nowhere. */
export const PROBE = 8;

/** Whether a descriptor of that kind is a TCP session. */
export function isSession(kind: number): boolean {
  return kind >= ECHOING && kind <= LINGERING;
}
