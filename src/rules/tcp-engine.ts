import type { ProxySource } from "./proxy.ts";

/**
 * What an engine needs to begin a session. One object serves all sessions, so that none is allocated: it holds until the
 * next call of `open`, `openProbe`, `header` or `headerEnd`.
 */
export interface Opened {
  /** Length of the banner in `banner.bytes` that is due; 0 for none. */
  bannerLength: number;
  /** Bytes that came after the PROXY header, or in place of one: the first to be echoed. */
  pending: Uint8Array;
  /** Client that a header named, of the latest session whose banner was due; null for none. */
  source: ProxySource | null;
}

/** What an engine does when a deadline passes. */
export interface TcpDeadlines {
  /**
   * The time at which the session's bytes last moved: `lastActiveMs[slot]`, or later where the kernel knows better. Now,
   * where some have come that the loop is about to read.
   */
  lastMovedMs(slot: number): number;
  /** The session was idle for its timeout: end it, then `close(slot, "idle_timeout")`. */
  idle(slot: number): void;
  /** The session's PROXY header did not come in time: call `headerEnd(slot, "proxy_timeout")` and do as it says. */
  headerTimeout(slot: number): void;
}
