import { type Address, isIPv4 } from "./address.ts";
import { Banner } from "./banner.ts";
import { BannerBudget } from "./budget.ts";
import type { Clock } from "./clock.ts";
import {
  BANNER_SUPPRESSIONS,
  type BannerSuppression,
  C,
  counterRow,
  observeDuration,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
  type UdpClose,
  type UdpDrop,
} from "./counters.ts";
import { isProbeEnd, PROBE_PORT } from "./probe-end.ts";
import type { LoopSettings } from "./settings.ts";
import { type SharedTables, WORD } from "./shared.ts";
import { DeadlineWheel, wheelTickMs } from "./wheel.ts";

/** What becomes of a datagram: dropped (and counted), */
export const DROP = 0;
/** echoed, */
export const ECHO = 1;
/** or echoed after the banner, if `bannerFor` grants one: it is the first of a session. */
export const FIRST = 2;
/** The server's own probe: echoed, without a session, and nothing of it is counted. */
export const PROBE = 8;
export type UdpVerdict = typeof DROP | typeof ECHO | typeof FIRST | typeof PROBE;

/** Words of a session's key: the client's address (4), then its port in the low half and the local address's number. */
const KEY_WORDS = 5;

/** Bits that stand against a source port; `PROBE_PORT` is another. */
const OWN_PORT = 1;
const BLOCKED_PORT = 2;
const PORT_ZERO = 4;

/**
 * The rule book of UDP: which datagrams are answered, what a session is, who gets a banner; nothing of sockets.
 * A session is (client ip:port, local ip:port); the engine numbers its local endpoints from 0 to 65,535. `admit` runs
 * for every datagram: a look-up in flat tables, no allocation, no clock read.
 */
export class UdpRules {
  readonly row: Float64Array;
  readonly banner: Banner;
  /** Sessions of this loop. */
  active = 0;

  readonly #settings: LoopSettings;
  readonly #clock: Clock;
  readonly #control: Int32Array;
  readonly #budget: BannerBudget;
  readonly #wheel: DeadlineWheel | null;
  /** What stands against a source port, 0 for nothing. All loops write the same bits; the control plane the probe's. */
  readonly #ports: Uint8Array;
  /** Open addressing: session number + 1, 0 for free. Twice the sessions, so that runs stay short. */
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #keys: Int32Array;
  readonly #hashes: Int32Array;
  readonly #lastActiveMs: Float64Array;
  readonly #openedMs: Float64Array;
  /** Numbers of ended sessions, a stack; behind them the numbers never used yet. */
  readonly #freed: Int32Array;
  #freedCount = 0;
  #neverUsed = 0;
  /** A hash that outsiders cannot aim at: sessions cannot be made to collide. */
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  constructor(
    settings: LoopSettings,
    tables: SharedTables,
    loop: number,
    clock: Clock,
    banner = new Banner(settings.bannerFields),
  ) {
    const sessions = settings.maxUdpSessions;
    this.row = counterRow(tables.counters, loop);
    this.banner = banner;
    this.#settings = settings;
    this.#clock = clock;
    this.#control = new Int32Array(tables.control);
    this.#budget = new BannerBudget(settings, tables);
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, sessions * 2)));
    this.#index = new Int32Array(places);
    this.#mask = places - 1;
    this.#keys = new Int32Array(sessions * KEY_WORDS);
    this.#hashes = new Int32Array(sessions);
    this.#lastActiveMs = new Float64Array(sessions);
    this.#openedMs = new Float64Array(sessions);
    this.#freed = new Int32Array(sessions);
    const idleMs = settings.udpIdleTimeoutMs;
    this.#wheel = idleMs > 0 ? new DeadlineWheel(sessions, idleMs, wheelTickMs(idleMs), clock.nowMs) : null;
    this.#ports = new Uint8Array(tables.sourcePorts);
    for (const port of settings.udpBlockedSourcePorts) Atomics.or(this.#ports, port, BLOCKED_PORT);
    Atomics.or(this.#ports, 0, PORT_ZERO);
  }

  /** Tells the server's own UDP port, once it is bound: two echo servers must not talk to each other for ever. */
  guardOwnPort(port: number): void {
    Atomics.or(this.#ports, port, OWN_PORT);
  }

  /** A datagram of `length` bytes came from the client (address words and port) to local endpoint `local`. */
  admit(
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    port: number,
    local: number,
    length: number,
  ): UdpVerdict {
    const mark = this.#ports[port]!;
    if (mark !== 0) {
      if ((mark & PROBE_PORT) !== 0 && this.#isProbe(a0, a1, a2, a3, port)) return PROBE;
      if (mark !== PROBE_PORT) return this.#dropByMark(mark, length);
    }
    const row = this.row;
    row[C.udpReceivedDatagrams]! += 1;
    row[C.udpReceivedBytes]! += length;
    const last = port | (local << 16);
    const hash = this.#hash(a0, a1, a2, a3, last);
    const keys = this.#keys;
    const index = this.#index;
    const mask = this.#mask;
    let place = hash & mask;
    for (let entry = index[place]!; entry !== 0; entry = index[place]!) {
      const key = (entry - 1) * KEY_WORDS;
      if (
        keys[key + 3] === a3 &&
        keys[key + 4] === last &&
        keys[key + 2] === a2 &&
        keys[key + 1] === a1 &&
        keys[key] === a0
      ) {
        this.#lastActiveMs[entry - 1] = this.#clock.nowMs;
        return ECHO;
      }
      place = (place + 1) & mask;
    }
    return this.#begin(place, hash, a0, a1, a2, a3, last);
  }

  /**
   * The banner of a session whose first datagram had `length` bytes: its length in `banner.bytes`, or 0 where
   * banners are off, the budget is spent, or it would make the answer too large for the question.
   */
  bannerFor(
    server: Address,
    serverPort: number,
    client: Address,
    clientPort: number,
    length: number,
  ): number {
    if (!this.#settings.banner || this.#settings.udpBannerRate === 0) return 0;
    const bannerLength = this.banner.write(server, serverPort, client, clientPort);
    const headers = isIPv4(client) ? 28 : 48; // IP and UDP, RFC 791, 8200, 768
    const out = headers + bannerLength + headers + length;
    if (out > this.#settings.udpAmplificationMax * (headers + length)) return this.#suppress("amplification");
    const refusal = this.#budget.spend(client, this.#clock.nowMs);
    return refusal === null ? bannerLength : this.#suppress(refusal);
  }

  /** A datagram of `length` bytes went to a broadcast address: many servers would answer one question. */
  dropBroadcast(length: number): void {
    this.row[C.udpReceivedDatagrams]! += 1;
    this.row[C.udpReceivedBytes]! += length;
    this.countDrop("broadcast");
  }

  /** The engine could not do as `admit` said. */
  countDrop(reason: UdpDrop): void {
    this.row[C.udpDropped + UDP_DROPS.indexOf(reason)]! += 1;
  }

  /** Ends sessions that were idle for their timeout; to be called once per tick of the loop's clock. */
  sweep(): void {
    this.#wheel?.advance(this.#clock.nowMs, (session) => {
      const deadline = this.#lastActiveMs[session]! + this.#settings.udpIdleTimeoutMs;
      if (deadline > this.#clock.nowMs) return deadline;
      this.#end(session, "idle_timeout");
      return 0;
    });
  }

  /** Ends every session, at the server's own end. */
  endAll(reason: UdpClose): void {
    for (let place = 0; place <= this.#mask; ) {
      const entry = this.#index[place]!;
      if (entry === 0) place++;
      else this.#end(entry - 1, reason); // another may have moved into this place: look again
    }
  }

  #begin(
    place: number,
    hash: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    last: number,
  ): UdpVerdict {
    if (Atomics.load(this.#control, WORD.draining) === 1) return this.#refuse("draining");
    if (Atomics.add(this.#control, WORD.udpActive, 1) >= this.#settings.maxUdpSessions) {
      Atomics.sub(this.#control, WORD.udpActive, 1);
      return this.#refuse("max_sessions");
    }
    const session = this.#freedCount > 0 ? this.#freed[--this.#freedCount]! : this.#neverUsed++;
    const key = session * KEY_WORDS;
    this.#keys[key] = a0;
    this.#keys[key + 1] = a1;
    this.#keys[key + 2] = a2;
    this.#keys[key + 3] = a3;
    this.#keys[key + 4] = last;
    this.#hashes[session] = hash;
    this.#index[place] = session + 1;
    const now = this.#clock.nowMs;
    this.#lastActiveMs[session] = now;
    this.#openedMs[session] = now;
    this.#wheel?.add(session, now + this.#settings.udpIdleTimeoutMs);
    this.active++;
    this.row[C.udpOpened]! += 1;
    return FIRST;
  }

  #end(session: number, reason: UdpClose): void {
    this.#wheel?.remove(session);
    this.#unindex(session);
    this.#freed[this.#freedCount++] = session;
    this.active--;
    Atomics.sub(this.#control, WORD.udpActive, 1);
    this.row[C.udpClosed]! += 1;
    this.row[C.udpClosedBy + UDP_CLOSES.indexOf(reason)]! += 1;
    const seconds = Math.max(0, this.#clock.nowMs - this.#openedMs[session]!) / 1000;
    observeDuration(this.row, C.udpDuration, seconds);
  }

  /** Takes a session out of the index and moves up those behind it that it kept from their place (TAOCP 3, 6.4 R). */
  #unindex(session: number): void {
    const index = this.#index;
    const mask = this.#mask;
    let hole = this.#hashes[session]! & mask;
    while (index[hole] !== session + 1) hole = (hole + 1) & mask;
    for (let place = (hole + 1) & mask; index[place] !== 0; place = (place + 1) & mask) {
      const wanted = this.#hashes[index[place]! - 1]! & mask;
      if (((place - wanted) & mask) >= ((place - hole) & mask)) {
        index[hole] = index[place]!;
        hole = place;
      }
    }
    index[hole] = 0;
  }

  #hash(a0: number, a1: number, a2: number, a3: number, last: number): number {
    let hash = Math.imul(a3 ^ this.#seed, 0x9e3779b1) ^ Math.imul(last, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ Math.imul(a0 ^ (a1 << 7) ^ a2, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
    return hash ^ (hash >>> 16);
  }

  /** The port is the probe's; the address must be so too: the same port elsewhere is a client's. */
  #isProbe(a0: number, a1: number, a2: number, a3: number, port: number): boolean {
    return isProbeEnd(this.#control, WORD.probeUdpEnd, a0, a1, a2, a3, port);
  }

  /** The loop guard has `mark` against the datagram's port. */
  #dropByMark(mark: number, length: number): UdpVerdict {
    this.row[C.udpReceivedDatagrams]! += 1;
    this.row[C.udpReceivedBytes]! += length;
    if ((mark & PORT_ZERO) !== 0) this.countDrop("source_port_zero");
    else if ((mark & OWN_PORT) !== 0) this.countDrop("own_port");
    else this.countDrop("blocked_source_port");
    return DROP;
  }

  #refuse(reason: "draining" | "max_sessions"): UdpVerdict {
    this.row[C.udpRefused + UDP_REFUSALS.indexOf(reason)]! += 1;
    this.countDrop(reason);
    return DROP;
  }

  #suppress(reason: BannerSuppression): number {
    this.row[C.udpBannersSuppressed + BANNER_SUPPRESSIONS.indexOf(reason)]! += 1;
    return 0;
  }
}
