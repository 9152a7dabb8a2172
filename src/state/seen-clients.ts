import { type Address, sameAddress } from "../net/address.ts";
import type { Clock } from "./clock.ts";
import { KeyedHash } from "./hash.ts";

/**
 * Memory of the clients seen last: a part for each loop and protocol, which that loop alone writes. A part is a head, `rows`
 * clients, and for each slot of a session the client that it is and the bytes that it brought.
 */
export interface SeenTables {
  readonly memory: SharedArrayBuffer;
  /** Clients kept, for each loop and protocol. */
  readonly rows: number;
  /** Slots of a loop, by protocol. */
  readonly slots: Readonly<Record<"tcp" | "udp", number>>;
}

/** Words of a part's head. */
export const HEAD = {
  /** No slot from here on was ever used. */
  slotsUsed: 0,
} as const;
const HEAD_BYTES = 8;

/** Numbers of a row. */
export const ROW = {
  /** Which client of the part's that is, a number that no other gets; 0 for a row that is free. */
  serial: 0,
  /** By the loop's clock, in ms, when its latest session began. */
  openedMs: 1,
  port: 2,
  sessions: 3,
  open: 4,
  /** Of the sessions that have ended. */
  bytes: 5,
  /** Which of the part's sessions its latest is, counted from 1: many may begin in one millisecond. */
  order: 6,
  /** Four words. */
  address: 7,
  /** No number but a word (`versionAt`): odd while the row is being written. Whoever reads it looks before and after. */
  version: 11,
  numbers: 12,
} as const;

/** The views of one part. */
export interface SeenPart {
  readonly head: Int32Array;
  readonly rows: Float64Array;
  /** The same as words, for the rows' versions. */
  readonly words: Int32Array;
  /** By slot, the serial of its session's client, 0 where that is not kept. */
  readonly serials: Float64Array;
  /** By slot, the bytes that its session brought so far. */
  readonly bytes: Float64Array;
}

/** What of the shared tables is needed here. `lastClients` is null where they are not kept. */
interface Tables {
  readonly lastClients: SeenTables | null;
  readonly seed: SharedArrayBuffer;
}

function partBytes(rows: number, slots: number): number {
  return HEAD_BYTES + (rows * ROW.numbers + slots * 2) * 8;
}

/** The tables for `loops` loops that keep `rows` clients of each protocol. Pages cost nothing until they are written to. */
export function makeSeenTables(loops: number, rows: number, slots: SeenTables["slots"]): SeenTables {
  const bytes = loops * (partBytes(rows, slots.tcp) + partBytes(rows, slots.udp));
  return { memory: new SharedArrayBuffer(bytes), rows, slots };
}

/** The part of a loop and a protocol. */
export function seenPart(
  { memory, rows, slots }: SeenTables,
  loop: number,
  protocol: "tcp" | "udp",
): SeenPart {
  const tcpBytes = partBytes(rows, slots.tcp);
  const headAt = loop * (tcpBytes + partBytes(rows, slots.udp)) + (protocol === "tcp" ? 0 : tcpBytes);
  const rowsAt = headAt + HEAD_BYTES;
  const serialsAt = rowsAt + rows * ROW.numbers * 8;
  const count = slots[protocol];
  return {
    head: new Int32Array(memory, headAt, HEAD_BYTES / 4),
    rows: new Float64Array(memory, rowsAt, rows * ROW.numbers),
    words: new Int32Array(memory, rowsAt, rows * ROW.numbers * 2),
    serials: new Float64Array(memory, serialsAt, count),
    bytes: new Float64Array(memory, serialsAt + count * 8, count),
  };
}

/** Where in a part's `words` the version of the row at `at` of `rows` is. */
export function versionAt(at: number): number {
  return (at + ROW.version) * 2;
}

/** Where in `rows` the row of a client is that had that serial when it was written; the row may be another's by now. */
export function rowOfSerial(rows: Float64Array, serial: number): number {
  return (serial % (rows.length / ROW.numbers)) * ROW.numbers;
}

/**
 * The clients of one loop and protocol that were seen last, one row for an address, as the loop writes them. It costs a
 * session something when it begins and ends, and a message one addition to `bytes`, by its engine.
 */
export class SeenClients {
  /** By slot, the bytes that its session brought. */
  readonly bytes: Float64Array;
  readonly #clock: Clock;
  /** Null where no clients are kept. */
  readonly #part: SeenPart | null;
  readonly #hash: KeyedHash;
  /** Where a client's row is, by the hash of its address. Of two that share one, the later has it, and both may have a row. */
  readonly #rowOf = new Map<number, number>();
  /** How often a row was given to a client: a serial is that times the number of rows, and the row's number. */
  #given = 0;
  #sessions = 0;

  /** @param slots sessions of this loop at most */
  constructor(
    { lastClients, seed }: Tables,
    loop: number,
    protocol: "tcp" | "udp",
    slots: number,
    clock: Clock,
  ) {
    this.#clock = clock;
    this.#hash = new KeyedHash(new Int32Array(seed));
    this.#part = lastClients === null ? null : seenPart(lastClients, loop, protocol);
    this.bytes = this.#part?.bytes ?? new Float64Array(slots);
    if (this.bytes.length < slots)
      throw new Error(`clients are kept of ${this.bytes.length} slots, not ${slots}`);
    if (this.#part !== null) this.#goOn(this.#part.rows);
  }

  /** A loop that takes a dead one's place goes on with its rows. */
  #goOn(rows: Float64Array): void {
    for (let at = 0; at < rows.length; at += ROW.numbers) {
      const serial = rows[at + ROW.serial]!;
      if (serial === 0) continue;
      this.#rowOf.set(this.#hashOf(addressOf(rows, at)), at);
      this.#sessions = Math.max(this.#sessions, rows[at + ROW.order]!);
      this.#given = Math.max(this.#given, Math.floor(serial / (rows.length / ROW.numbers)));
    }
  }

  /** A session of a client begins in `slot`. */
  begin(slot: number, client: Address, port: number): void {
    this.bytes[slot] = 0;
    if (this.#part === null) return;
    const { rows, head, serials } = this.#part;
    const known = this.#rowOfClient(client);
    const at = known ?? this.#rowToGive();
    this.#turnVersion(at);
    if (known === undefined) this.#give(at, client);
    this.#sessions += 1;
    rows[at + ROW.order] = this.#sessions;
    rows[at + ROW.openedMs] = this.#clock.read(); // a loop's own turns may be too long to tell who came last to two
    rows[at + ROW.port] = port;
    rows[at + ROW.sessions]! += 1;
    rows[at + ROW.open]! += 1;
    this.#turnVersion(at);
    serials[slot] = rows[at + ROW.serial]!;
    if (slot >= head[HEAD.slotsUsed]!) head[HEAD.slotsUsed] = slot + 1;
  }

  /** The session in `slot` ends. One that never began for anybody may end too. */
  end(slot: number): void {
    const at = this.#leave(slot);
    if (at < 0) return;
    const { rows } = this.#part!;
    this.#turnVersion(at);
    rows[at + ROW.open]! -= 1;
    rows[at + ROW.bytes]! += this.bytes[slot]!;
    this.#turnVersion(at);
  }

  /** The session in `slot` turns out to be another client's: as if it had never been this one's. */
  disown(slot: number): void {
    const at = this.#leave(slot);
    if (at < 0) return;
    const { rows } = this.#part!;
    this.#turnVersion(at);
    rows[at + ROW.open]! -= 1;
    rows[at + ROW.sessions]! -= 1;
    if (rows[at + ROW.sessions] === 0) this.#free(at);
    this.#turnVersion(at);
  }

  /** The slot has no client any more. Where the row of the one it had is, -1 where that is another's by now. */
  #leave(slot: number): number {
    if (this.#part === null) return -1;
    const { rows, serials } = this.#part;
    const serial = serials[slot]!;
    serials[slot] = 0;
    if (serial === 0) return -1;
    const at = rowOfSerial(rows, serial);
    return rows[at + ROW.serial] === serial ? at : -1;
  }

  /** To be called before and after a row is written. */
  #turnVersion(at: number): void {
    Atomics.add(this.#part!.words, versionAt(at), 1);
  }

  #rowOfClient(client: Address): number | undefined {
    const at = this.#rowOf.get(this.#hashOf(client));
    return at !== undefined && sameAddress(addressOf(this.#part!.rows, at), client) ? at : undefined;
  }

  /** The row for a client that has none: one that is free, or whose latest session is the oldest. */
  #rowToGive(): number {
    const { rows } = this.#part!;
    let at = 0;
    for (let other = 0; other < rows.length && rows[at + ROW.serial] !== 0; other += ROW.numbers) {
      if (rows[other + ROW.serial] === 0 || rows[other + ROW.openedMs]! < rows[at + ROW.openedMs]!)
        at = other;
    }
    return at;
  }

  #give(at: number, client: Address): void {
    const { rows } = this.#part!;
    if (rows[at + ROW.serial] !== 0) this.#free(at);
    this.#given += 1;
    rows[at + ROW.serial] = (this.#given * rows.length + at) / ROW.numbers;
    rows[at + ROW.address] = client.a0;
    rows[at + ROW.address + 1] = client.a1;
    rows[at + ROW.address + 2] = client.a2;
    rows[at + ROW.address + 3] = client.a3;
    this.#rowOf.set(this.#hashOf(client), at);
  }

  #free(at: number): void {
    const { rows } = this.#part!;
    this.#rowOf.delete(this.#hashOf(addressOf(rows, at)));
    rows.fill(0, at, at + ROW.version);
  }

  #hashOf({ a0, a1, a2, a3 }: Address): number {
    return this.#hash.of(a0, a1, a2, a3, 0);
  }
}

/** The address in the row at `at`. */
export function addressOf(rows: Float64Array, at: number): Address {
  const word = at + ROW.address;
  return { a0: rows[word]!, a1: rows[word + 1]!, a2: rows[word + 2]!, a3: rows[word + 3]! };
}

/** Books what a dead loop left: its sessions are over, and what they brought is their clients'. */
export function settleSeen(tables: SeenTables, loop: number): void {
  for (const protocol of ["tcp", "udp"] as const) {
    const { head, rows, words, serials, bytes } = seenPart(tables, loop, protocol);
    for (let slot = 0; slot < head[HEAD.slotsUsed]!; slot++) {
      const serial = serials[slot]!;
      serials[slot] = 0;
      const at = rowOfSerial(rows, serial);
      if (serial !== 0 && rows[at + ROW.serial] === serial) rows[at + ROW.bytes]! += bytes[slot]!;
    }
    for (let at = 0; at < rows.length; at += ROW.numbers) {
      rows[at + ROW.open] = 0;
      const version = Atomics.load(words, versionAt(at));
      if ((version & 1) === 1) Atomics.store(words, versionAt(at), version + 1); // it died while it wrote
    }
  }
}
