/**
 * Counters are plain numbers in shared memory: one row per loop, written only by that loop, summed by the
 * control plane when somebody scrapes. A float64 counts exactly to 2^53 (9 petabytes).
 */

/** Why a TCP session was refused. The order is the order of the counters in a row. */
export const TCP_REFUSALS = [
  "max_sessions",
  "max_sessions_per_client",
  "client_table",
  "proxy_missing",
  "proxy_malformed",
  "proxy_untrusted",
  "proxy_timeout",
  "draining",
  "no_descriptors",
  /** The client had reset the connection before it was accepted (one of Bun's sockets then knows no addresses). */
  "gone",
  /** epoll_ctl(2) would not watch it: max_user_watches is used up, or memory is. */
  "no_epoll_watch",
] as const;
export type TcpRefusal = (typeof TCP_REFUSALS)[number];

/** Why a UDP session was refused; each such datagram is also counted as dropped. */
export const UDP_REFUSALS = ["draining"] as const;
export type UdpRefusal = (typeof UDP_REFUSALS)[number];

/** How a session ended. */
export const TCP_CLOSES = [
  "client",
  "reset",
  "idle_timeout",
  "queued_bytes",
  "refused",
  "drained",
  "cut",
  /** Cut while bytes were unsent: by a reset, so that the peer does not take a part for the whole. */
  "cut_short",
  /** A bug showed in this session: it alone was reset. */
  "fault",
  "worker_died",
] as const;
export type TcpClose = (typeof TCP_CLOSES)[number];
export const UDP_CLOSES = ["idle_timeout", "drained", "worker_died"] as const;
export type UdpClose = (typeof UDP_CLOSES)[number];

/** Why a datagram was dropped. */
export const UDP_DROPS = [
  "source_port_zero",
  "own_port",
  "blocked_source_port",
  "broadcast",
  "reflected",
  "client_rate",
  "draining",
  "send_failed",
  "queue_full",
] as const;
export type UdpDrop = (typeof UDP_DROPS)[number];

/** Why a UDP session got its echo but no banner. */
export const BANNER_SUPPRESSIONS = ["rate", "prefix_rate", "amplification"] as const;
export type BannerSuppression = (typeof BANNER_SUPPRESSIONS)[number];

/** Kinds of PROXY headers. `local`: LOCAL, UNKNOWN or a family without ip:port, so the connection's own ends count. */
export const PROXY_KINDS = ["v1", "v2", "local"] as const;

/** Upper bounds of `echo_session_duration_seconds`, in seconds; one more bucket is +Inf. */
export const DURATION_BOUNDS_S = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 86400] as const;
const DURATION_SLOTS = DURATION_BOUNDS_S.length + 2; // buckets, +Inf, sum

let next = 0;
const block = (length: number): number => {
  const start = next;
  next += length;
  return start;
};

/**
 * Column of each counter in a loop's row. A counter with several reasons is named by its first column. The engine adds
 * TCP bytes, queued bytes and sent datagrams; the rules add all other columns except the last two, which the loop sets.
 */
export const COUNTER = {
  tcpOpened: block(1),
  /** Sessions ended, whatever the reason: opened - closed is what is active. */
  tcpClosed: block(1),
  tcpReceivedBytes: block(1),
  tcpSentBytes: block(1),
  tcpRefused: block(TCP_REFUSALS.length),
  tcpClosedBy: block(TCP_CLOSES.length),
  tcpDuration: block(DURATION_SLOTS),
  proxyHeaders: block(PROXY_KINDS.length),
  /** PROXY headers that came after the banner; `proxyHeaders` counts them too. */
  proxyLate: block(1),
  udpOpened: block(1),
  udpClosed: block(1),
  udpReceivedBytes: block(1),
  udpSentBytes: block(1),
  udpReceivedDatagrams: block(1),
  udpSentDatagrams: block(1),
  /** Datagrams echoed without a session: the table of sessions was full. */
  udpSessionless: block(1),
  udpRefused: block(UDP_REFUSALS.length),
  udpClosedBy: block(UDP_CLOSES.length),
  udpDropped: block(UDP_DROPS.length),
  udpBannersSuppressed: block(BANNER_SUPPRESSIONS.length),
  udpDuration: block(DURATION_SLOTS),
  /** Bytes queued now for slow readers (a gauge). */
  tcpQueuedBytes: block(1),
  /** When the loop last turned, by its clock (a gauge): liveness looks at its age. */
  heartbeatMs: block(1),
  /** How late the loop's last tick was, in seconds (a gauge). */
  loopLagSeconds: block(1),
} as const;

/** Numbers in one loop's row. */
export const COLUMNS = next;

/** One loop's row of a shared counter table. */
export function countersOf(table: SharedArrayBuffer, loop: number): Float64Array {
  return new Float64Array(table, loop * COLUMNS * 8, COLUMNS);
}

/** A counter table of `loops` rows, all zero. */
export function makeCounterTable(loops: number): SharedArrayBuffer {
  return new SharedArrayBuffer(loops * COLUMNS * 8);
}

/** The sum of one column over all loops. */
export function sumColumn(table: SharedArrayBuffer, column: number): number {
  const numbers = new Float64Array(table);
  let sum = 0;
  for (let at = column; at < numbers.length; at += COLUMNS) sum += numbers[at]!;
  return sum;
}

/** Books a session's length into the histogram that starts at `column` of `counters`. */
export function observeDuration(counters: Float64Array, column: number, seconds: number): void {
  let bucket = 0;
  while (bucket < DURATION_BOUNDS_S.length && seconds > DURATION_BOUNDS_S[bucket]!) bucket++;
  counters[column + bucket]! += 1;
  counters[column + DURATION_BOUNDS_S.length + 1]! += seconds;
}
