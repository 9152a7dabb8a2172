import type { Endpoint } from "../net/endpoint.ts";
import type { SharedTables } from "./shared.ts";

/** A client address with its latest session. */
export interface LastClient {
  /** When its latest session began, ms since 1970. */
  readonly openedAtMs: number;
  /** The latest session's end. */
  readonly client: Endpoint;
  readonly protocol: "tcp" | "udp";
  /** Sessions of this address and protocol since it is in the table. */
  readonly sessions: number;
  /** Bytes that these sessions brought so far. */
  readonly bytes: number;
  /** Whether one of them is open. */
  readonly open: boolean;
}

/** The clients seen last, by address and protocol, newest first; null where they are not kept. */
export function lastClients(_tables: SharedTables): LastClient[] | null {
  return null;
}
