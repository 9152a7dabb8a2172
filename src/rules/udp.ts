import { type Address, isIPv4 } from "../net/address.ts";
import type { Clock } from "../state/clock.ts";
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
  type UdpRefusal,
} from "../state/counters.ts";
import type { KeyedHash } from "../state/hash.ts";
import { isProbeEnd, PROBE_PORT } from "../state/probe-end.ts";
import { type SharedTables, WORD } from "../state/shared.ts";
import { Banner } from "./banner.ts";
import { BannerBudget } from "./budget.ts";
import { MUTED, NO_SESSION, type Reflectors, reflectorsOf, TRUSTED } from "./reflectors.ts";
import type { RuleSettings } from "./settings.ts";
import { KEY_WORDS, NO_PLACE, UdpTable } from "./udp-table.ts";
import { DeadlineWheel, wheelTickMs } from "./wheel.ts";

/** What becomes of a datagram: dropped (and counted), */
export const DROP = 0;
/** echoed, */
export const ECHO = 1;
/** or echoed after the banner, if `bannerFor` grants one: it is the first of a session; */
export const FIRST = 2;
/** or what `inspect`, which is shown its bytes, says. */
export const SUSPECT = 3;
/** The server's own probe: echoed, without a session, and nothing of it is counted. */
export const PROBE = 8;
export type UdpVerdict = typeof DROP | typeof ECHO | typeof FIRST | typeof SUSPECT | typeof PROBE;

/** An echo at the cap of sessions: counted, without a banner, and forgotten. */
const SESSIONLESS = 4;
type Answer = typeof ECHO | typeof FIRST | typeof SESSIONLESS;

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

  readonly #settings: RuleSettings;
  readonly #clock: Clock;
  readonly #control: Int32Array;
  readonly #budget: BannerBudget;
  readonly #wheel: DeadlineWheel | null;
  /** What stands against a source port, 0 for nothing. All loops write the same bits; the control plane the probe's. */
  readonly #ports: Uint8Array;
  readonly #table: UdpTable;
  readonly #index: Int32Array;
  readonly #keys: Int32Array;
  readonly #mask: number;
  readonly #hash: KeyedHash;
  readonly #lastActiveMs: Float64Array;
  readonly #openedMs: Float64Array;
  /** Null where there are no banners, so none to come back. */
  readonly #reflectors: Reflectors | null;
  /** What becomes of the datagram of the latest SUSPECT, unless it is a banner of ours. */
  #unlessReflected: Answer = ECHO;

  constructor(
    settings: RuleSettings,
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
    this.#reflectors = reflectorsOf(settings, tables);
    this.#table = new UdpTable(sessions, new Int32Array(tables.seed));
    this.#index = this.#table.index;
    this.#keys = this.#table.keys;
    this.#mask = this.#table.mask;
    this.#hash = this.#table.hash;
    this.#lastActiveMs = new Float64Array(sessions);
    this.#openedMs = new Float64Array(sessions);
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

  /** The loop guard stands against that end, or it is the probe's: a rate is not asked. */
  protected isMarked(a0: number, a1: number, a2: number, a3: number, port: number): boolean {
    const mark = this.#ports[port]!;
    return mark !== 0 && (mark !== PROBE_PORT || this.#isProbe(a0, a1, a2, a3, port));
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
    const hash = this.#hash.of(a0, a1, a2, a3, last);
    const keys = this.#keys;
    const index = this.#index;
    const mask = this.#mask;
    let place = hash & mask;
    // Ends at a free place, and at a session that is set aside: both are the business of the slow way.
    for (let entry = index[place]!; entry > 0; entry = index[place]!) {
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
    return this.#meet(hash, a0, a1, a2, a3, last, length);
  }

  /**
   * After SUSPECT: the bytes of the datagram that was just admitted, from `at` on. One of our own banners says that
   * who sits there sends back what it gets: the session is muted for its idle time, or it would go on for ever.
   */
  inspect(bytes: Uint8Array, at: number): UdpVerdict {
    if (!this.#reflectors!.isReflected(bytes, at)) return this.#answer(this.#unlessReflected);
    this.countDrop("reflected");
    return DROP;
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
    if (this.#reflectors === null) return 0;
    const bannerLength = this.banner.write(server, serverPort, client, clientPort);
    const headers = isIPv4(client) ? 28 : 48; // IP and UDP, RFC 791, 8200, 768
    const out = headers + bannerLength + headers + length;
    if (out > this.#settings.udpAmplificationMax * (headers + length)) return this.#suppress("amplification");
    const refusal = this.#budget.spend(client, this.#clock.nowMs);
    if (refusal !== null) return this.#suppress(refusal);
    this.#reflectors.sent.add(this.banner.bytes, bannerLength);
    return bannerLength;
  }

  /** Writes a banner that was granted before and could not be sent then; returns its length. */
  bannerAgain(server: Address, serverPort: number, client: Address, clientPort: number): number {
    const length = this.banner.write(server, serverPort, client, clientPort);
    this.#reflectors?.sent.add(this.banner.bytes, length); // its date may be another by now
    return length;
  }

  /**
   * A datagram of `length` bytes is counted and dropped without `admit`: one to a broadcast address, say, since many
   * servers would answer one question.
   */
  dropUnseen(reason: UdpDrop, length: number): void {
    this.row[C.udpReceivedDatagrams]! += 1;
    this.row[C.udpReceivedBytes]! += length;
    this.countDrop(reason);
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
    this.#table.endEach((session) => this.#end(session, reason));
  }

  /** The slow way: a newcomer, a session in its first datagrams, a muted one, or one behind these in the table. */
  #meet(
    hash: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    last: number,
    length: number,
  ): UdpVerdict {
    const place = this.#table.find(hash, a0, a1, a2, a3, last);
    const entry = place === NO_PLACE ? 0 : this.#index[place]!;
    if (entry < 0) return this.#watch(place, -entry - 1, length);
    if (entry > 0) {
      this.#lastActiveMs[entry - 1] = this.#clock.nowMs;
      return ECHO;
    }
    if (Atomics.load(this.#control, WORD.draining) === 1) return this.#refuse("draining");
    if (place === NO_PLACE || !this.#takeOne()) {
      return this.#look(NO_SESSION, SESSIONLESS, length);
    }
    const session = this.#table.add(place, hash, a0, a1, a2, a3, last);
    this.#begin(session);
    if (this.#reflectors === null) return FIRST;
    this.#reflectors.begin(session);
    this.#index[place] = -(session + 1);
    return this.#look(session, FIRST, length);
  }

  /** One more session, unless all loops together have as many as there may be. */
  #takeOne(): boolean {
    if (Atomics.add(this.#control, WORD.udpActive, 1) < this.#settings.maxUdpSessions) return true;
    Atomics.sub(this.#control, WORD.udpActive, 1);
    return false;
  }

  #begin(session: number): void {
    const now = this.#clock.nowMs;
    this.#lastActiveMs[session] = now;
    this.#openedMs[session] = now;
    this.#wheel?.add(session, now + this.#settings.udpIdleTimeoutMs);
    this.active++;
    this.row[C.udpOpened]! += 1;
  }

  /** A datagram of a session that is set aside at `place`: in its first ones, or muted. */
  #watch(place: number, session: number, length: number): UdpVerdict {
    const now = this.#clock.nowMs;
    const standing = this.#reflectors!.next(session, now - this.#openedMs[session]!);
    if (standing === MUTED) {
      this.countDrop("reflected"); // and no sign of life: the session ends an idle time after it was muted
      return DROP;
    }
    this.#lastActiveMs[session] = now;
    if (standing !== TRUSTED) return this.#look(session, ECHO, length);
    this.#index[place] = session + 1;
    return ECHO;
  }

  /** The answer, or SUSPECT where the datagram is as long as a banner. */
  #look(session: number, answer: Answer, length: number): UdpVerdict {
    if (!this.#reflectors?.suspects(session, length)) return this.#answer(answer);
    this.#unlessReflected = answer;
    return SUSPECT;
  }

  #answer(answer: Answer): UdpVerdict {
    if (answer !== SESSIONLESS) return answer;
    this.row[C.udpSessionless]! += 1;
    return ECHO;
  }

  #end(session: number, reason: UdpClose): void {
    this.#wheel?.remove(session);
    this.#table.remove(session);
    this.active--;
    Atomics.sub(this.#control, WORD.udpActive, 1);
    this.row[C.udpClosed]! += 1;
    this.row[C.udpClosedBy + UDP_CLOSES.indexOf(reason)]! += 1;
    const seconds = Math.max(0, this.#clock.nowMs - this.#openedMs[session]!) / 1000;
    observeDuration(this.row, C.udpDuration, seconds);
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

  #refuse(reason: UdpRefusal): UdpVerdict {
    this.row[C.udpRefused + UDP_REFUSALS.indexOf(reason)]! += 1;
    this.countDrop(reason);
    return DROP;
  }

  #suppress(reason: BannerSuppression): number {
    this.row[C.udpBannersSuppressed + BANNER_SUPPRESSIONS.indexOf(reason)]! += 1;
    return 0;
  }
}
