/**
 * Who may have how many of the process's descriptors. TCP sessions take most; what must work when they have taken
 * all that is theirs (a probe, a scrape, the log) has its own set aside.
 */

/** More sessions than this are never the default: engines keep flat tables of this length. */
export const SESSIONS_MAX = 1_048_576;

/** Descriptors of neither sessions nor admin: libraries, listeners, UDP sockets, event loops, the probe, and a reserve. */
const OTHERS = 64;

/** Both ends of the readiness probe, and of one that follows while the last one's are being closed. */
const PROBE = 4;

/** Descriptors that come and go: newcomers on their way to being refused, a Worker that is replaced, files under /proc. */
const RESERVE_MIN = 4;
const RESERVE_MAX = 32;

/** Admin connections that an open-file limit has room for: at most a sixteenth of it, 64 of 1,024. */
export function adminConnectionsWithin(openFiles: number, wanted: number): number {
  return Math.max(1, Math.min(wanted, Math.floor(openFiles / 16)));
}

/**
 * Sessions may have descriptors below this. The kernel always hands out the lowest free one, so a connection at or
 * above it says that only those are left that are set aside.
 * @param adminConnections as wanted; what of it fits is set aside
 */
export function sessionDescriptorsWithin(openFiles: number, adminConnections: number): number {
  const reserve = Math.min(RESERVE_MAX, Math.max(RESERVE_MIN, Math.floor(openFiles / 16)));
  return openFiles - adminConnectionsWithin(openFiles, adminConnections) - PROBE - reserve;
}

/** TCP sessions that an open-file limit has room for: all but those of others and of admin, or half, if that is less. */
export function sessionsWithin(openFiles: number, adminConnections: number): number {
  return Math.min(openFiles, SESSIONS_MAX) - Math.min(OTHERS + adminConnections, Math.ceil(openFiles / 2));
}

/** Descriptors of the process other than sessions': a session's descriptor may be that much above the cap of sessions. */
export const OTHER_DESCRIPTORS = 4096;
