/**
 * Where a session stands, as the rules see it. This file owns the set; the numbers have no order, but 0 is FREE, so that
 * a new table holds only free slots. An engine echoes in `OPEN` only.
 */

/** Phase of a slot that has no session. */
export const FREE = 0;

/** Phase of a session that must send its PROXY header first: its bytes go to `header`, and nothing is sent. */
export const AWAITING_HEADER = 1;

/** Phase of a session whose bytes are echoed. */
export const OPEN = 2;

/** Phase of a session that was refused, and counted as refused: the engine resets the connection. */
export const REFUSED = 3;

/**
 * Phase of a session whose PROXY header did not come in time. Its banner is due, but its first bytes may still be a
 * header (a load balancer that sends the header with the client's first payload): they go to `header`.
 */
export const AWAITING_LATE_HEADER = 4;

export type Phase =
  | typeof FREE
  | typeof AWAITING_HEADER
  | typeof OPEN
  | typeof REFUSED
  | typeof AWAITING_LATE_HEADER;
