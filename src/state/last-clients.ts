import type { Endpoint } from "../net/endpoint.ts";
import { Clock } from "./clock.ts";
import { addressOf, HEAD, ROW, rowOfSerial, type SeenPart, seenPart, versionAt } from "./seen-clients.ts";
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

/** A loop may write while a row is copied: it is copied again, so often at most, and then left out. */
const TRIES = 100;

/**
 * The clients seen last, by address and protocol, newest first, of each protocol as many as are kept; null where none
 * are. Of a session that ends while this is read the bytes may be missing, and of one that begins they may be there before
 * it is counted, until it is read again.
 * @param nowMs what the loops' clock says now, in ms, and `wallMs` what the wall clock does
 */
export function lastClients(
  { lastClients: tables, loops }: SharedTables,
  nowMs = new Clock().nowMs,
  wallMs = Date.now(),
): LastClient[] | null {
  if (tables === null) return null;
  const clients = new Map<string, Row>();
  for (let loop = 0; loop < loops; loop++) {
    for (const protocol of ["tcp", "udp"] as const) {
      for (const client of clientsOf(seenPart(tables, loop, protocol), protocol)) {
        const { a0, a1, a2, a3 } = client.client.address;
        const key = [protocol, a0, a1, a2, a3].join();
        const other = clients.get(key);
        clients.set(key, other === undefined ? client : joined(other, client));
      }
    }
  }
  const left = { tcp: tables.rows, udp: tables.rows }; // many of one protocol push none of the other out
  return [...clients.values()]
    .sort((a, b) => b.openedMs - a.openedMs || b.order - a.order)
    .filter(({ protocol }) => left[protocol]-- > 0)
    .map(({ openedMs, order: _, ...client }) => ({
      openedAtMs: Math.round(openedMs + wallMs - nowMs),
      ...client,
    }));
}

/** A client by the loop's clock, and which of its loop's sessions its latest is. */
interface Row extends Omit<LastClient, "openedAtMs"> {
  readonly openedMs: number;
  readonly order: number;
}

/** The clients of one part. */
function clientsOf(part: SeenPart, protocol: "tcp" | "udp"): Row[] {
  const rows = copyOf(part);
  addLive(rows, part);
  const clients: Row[] = [];
  for (let at = 0; at < rows.length; at += ROW.numbers) {
    if (rows[at + ROW.serial] === 0) continue;
    clients.push({
      openedMs: rows[at + ROW.openedMs]!,
      order: rows[at + ROW.order]!,
      client: { address: addressOf(rows, at), port: rows[at + ROW.port]! },
      protocol,
      sessions: rows[at + ROW.sessions]!,
      bytes: rows[at + ROW.bytes]!,
      open: rows[at + ROW.open]! > 0,
    });
  }
  return clients;
}

/** The rows, each as it was between two writes of the loop. */
function copyOf(part: SeenPart): Float64Array {
  const copy = new Float64Array(part.rows.length);
  for (let at = 0; at < copy.length; at += ROW.numbers) copyRow(part, at, copy);
  return copy;
}

function copyRow({ rows, words }: SeenPart, at: number, copy: Float64Array): void {
  for (let tries = 0; tries < TRIES; tries++) {
    const version = Atomics.load(words, versionAt(at));
    for (let number = at; number < at + ROW.version; number++) copy[number] = rows[number]!;
    if ((version & 1) === 0 && Atomics.load(words, versionAt(at)) === version) return;
  }
  copy.fill(0, at, at + ROW.version);
}

/** Adds what the sessions that are open have brought so far. */
function addLive(rows: Float64Array, { head, serials, bytes }: SeenPart): void {
  for (let slot = 0; slot < head[HEAD.slotsUsed]!; slot++) {
    const serial = serials[slot]!;
    if (serial === 0) continue;
    const at = rowOfSerial(rows, serial);
    if (rows[at + ROW.serial] === serial) rows[at + ROW.bytes]! += bytes[slot]!;
  }
}

/** One client that two loops have sessions of. */
function joined(a: Row, b: Row): Row {
  return {
    ...(a.openedMs >= b.openedMs ? a : b),
    sessions: a.sessions + b.sessions,
    bytes: a.bytes + b.bytes,
    open: a.open || b.open,
  };
}
