/** What a descriptor of the loop is. One look into a table by descriptor tells the loop what an event means. */

export const NONE = 0;
/** A TCP session with nothing queued: what comes is sent back at once. */
export const ECHOING = 1;
/** A TCP session whose reader is slow: nothing is read until what is queued is sent. */
export const BLOCKED = 2;
/** A TCP session that waits for its PROXY header. */
export const AWAITING_HEADER = 3;
/** A TCP session that was cut: its FIN is sent, what still comes is thrown away. */
export const LINGERING = 4;
export const LISTENER = 5;
export const UDP = 6;
/** The eventfd by which the control plane wakes the loop. */
export const WAKE = 7;
/** The server's own probe: echoed, and counted nowhere. */
export const PROBE = 8;
