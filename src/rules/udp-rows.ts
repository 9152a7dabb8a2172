/**
 * A batch of datagrams as the rules take it: a row of 32-bit words for each, in one array, so that a loop over a batch
 * loads and stores next to each other. The first KEY_WORDS of a row are the key of its session.
 */

/** Words of a session's key: the client's address (4), then its port in the low half and the local address's number. */
export const KEY_WORDS = 5;

/** Words of a row: the key, the payload's length, what the engine notes of the datagram, one to spare. */
export const ROW_WORDS = 8;
export const ROW_ENDS = 4;
export const ROW_LENGTH = 5;
export const ROW_NOTE = 6;

/** The port and the local address's number as one word of a key. */
export function endsOf(port: number, local: number): number {
  return port | (local << 16);
}

/** The port of the client of row `at`. */
export function portOf(rows: Int32Array, at: number): number {
  return rows[at * ROW_WORDS + ROW_ENDS]! & 0xffff;
}
