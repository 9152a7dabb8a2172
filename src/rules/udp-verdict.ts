/**
 * Every verdict on a datagram. This file owns the set: no other file adds a value, so no two can mean different things
 * by one number. The numbers have no order.
 */

/** The datagram is dropped, and counted as dropped. */
export const DROP = 0;

/** The datagram is echoed. */
export const ECHO = 1;

/** The datagram is the first of a session: it is echoed after the banner, if `banners.grant` grants one. */
export const FIRST = 2;

/** The datagram may be one of our own banners: `inspect` must see its bytes, and gives the verdict. */
export const SUSPECT = 3;

/** The datagram is from the server's own probe: it is echoed, has no session, and is counted nowhere. */
export const PROBE = 4;

export type UdpVerdict = typeof DROP | typeof ECHO | typeof FIRST | typeof SUSPECT | typeof PROBE;
