import type { Clock } from "../state/clock.ts";
import {
  COUNTER,
  countersOf,
  observeDuration,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
  type UdpClose,
  type UdpDrop,
  type UdpRefusal,
} from "../state/counters.ts";
import { isProbeEnd, PROBE_PORT } from "../state/probe-end.ts";
import { SeenClients } from "../state/seen-clients.ts";
import { CONTROL, type SharedTables } from "../state/shared.ts";
import { Banner } from "./banner.ts";
import { MUTED, NO_SESSION, type Reflectors, reflectorsOf, TRUSTED } from "./reflectors.ts";
import type { RuleSettings } from "./settings.ts";
import { dropReasonOf, markBlockedPorts, markOwnPort } from "./source-ports.ts";
import { UdpBanners } from "./udp-banners.ts";
import { endsOf, portOf, ROW_LENGTH, ROW_WORDS } from "./udp-rows.ts";
import { NO_PLACE, UdpTable } from "./udp-table.ts";
import { DROP, ECHO, FIRST, PROBE, SUSPECT, type UdpVerdict } from "./udp-verdict.ts";
import { type DeadlineWheel, wheelFor } from "./wheel.ts";

/**
 * The rule book of UDP: which datagrams are answered, what a session is, who gets a banner; nothing of sockets.
 * A session is (client ip:port, local ip:port); the engine numbers its local endpoints from 0 to 65,535. For every
 * datagram runs `known` or `admit`: a look-up in flat tables, no allocation, no clock read.
 */
export class UdpRules {
  /** Counters of this loop. The engine adds the datagrams and bytes that it sends; the rules add all other UDP columns. */
  readonly counters: Float64Array;
  /** Which sessions get a banner, and its bytes. */
  readonly banners: UdpBanners;
  /** Number of this loop's sessions. */
  active = 0;

  readonly #settings: RuleSettings;
  readonly #clock: Clock;
  readonly #control: Int32Array;
  readonly #wheel: DeadlineWheel | null;
  /** Time of the last tick. */
  #sweptMs: number;
  /** The mark of each source port (`source-ports.ts`), 0 for none. All loops write the same bits; the control plane the probe's. */
  readonly #ports: Uint8Array;
  readonly #table: UdpTable;
  readonly #openedMs: Float64Array;
  readonly #seen: SeenClients;
  /** Null where there are no banners, so none to come back. */
  readonly #reflectors: Reflectors | null;
  /** Verdict on the datagram of the latest SUSPECT, unless that is a banner of ours. */
  #unlessReflected: typeof ECHO | typeof FIRST = ECHO;
  /** Whether the datagram of the latest SUSPECT has no session. */
  #isSessionless = false;

  constructor(
    settings: RuleSettings,
    tables: SharedTables,
    loop: number,
    clock: Clock,
    banner = new Banner(settings.bannerFields),
  ) {
    const sessions = settings.maxUdpSessions;
    this.counters = countersOf(tables.counters, loop);
    this.#settings = settings;
    this.#clock = clock;
    this.#control = new Int32Array(tables.control);
    this.#sweptMs = clock.nowMs;
    this.#reflectors = reflectorsOf(settings, tables);
    this.banners = new UdpBanners(banner, settings, tables, this.counters, clock, this.#reflectors);
    this.#seen = new SeenClients(tables, loop, "udp", sessions, clock);
    this.#table = new UdpTable(sessions, new Int32Array(tables.seed), this.#seen.bytes);
    this.#openedMs = new Float64Array(sessions);
    this.#wheel = wheelFor(sessions, [settings.udpIdleTimeoutMs], clock.nowMs);
    this.#ports = new Uint8Array(tables.sourcePorts);
    markBlockedPorts(this.#ports, settings.udpBlockedSourcePorts);
  }

  /** Tells the server's own UDP port, once it is bound: two echo servers must not talk to each other for ever. */
  guardOwnPort(port: number): void {
    markOwnPort(this.#ports, port);
  }

  /** The loop guard stands against that end, or it is the probe's: a rate is not asked. */
  protected isMarked(a0: number, a1: number, a2: number, a3: number, port: number): boolean {
    const mark = this.#ports[port]!;
    return mark !== 0 && (mark !== PROBE_PORT || this.#isProbe(a0, a1, a2, a3, port));
  }

  /**
   * The hot path over a batch: datagrams of sessions that are neither new, watched nor muted are to be echoed. Goes through
   * `rows` (`udp-rows.ts`) from number `from` to `to`, up to the first that only `admit` can judge; returns its number.
   */
  known(rows: Int32Array, from: number, to: number): number {
    // The one mark that a port may get while it has sessions is the probe's.
    const probePort = Atomics.load(this.#control, CONTROL.probeUdpEnd);
    const { nowMs } = this.#clock;
    let at = this.#table.touchRecent(rows, from, to, nowMs, probePort);
    while (at < to && portOf(rows, at) !== probePort && this.#table.remember(rows, at)) {
      at = this.#table.touchRecent(rows, at, to, nowMs, probePort);
    }
    let bytes = 0;
    for (let row = from; row < at; row++) bytes += rows[row * ROW_WORDS + ROW_LENGTH]!;
    this.#countReceived(at - from, bytes);
    return at;
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
      if (mark !== PROBE_PORT) return this.dropUnseen(dropReasonOf(mark), length);
    }
    this.#countReceived(1, length);
    const last = endsOf(port, local);
    const hash = this.#table.hash.of(a0, a1, a2, a3, last);
    return this.#meet(hash, a0, a1, a2, a3, last, length);
  }

  /**
   * After SUSPECT: the bytes of the datagram that was just admitted, from `at` on. One of our own banners says that
   * who sits there sends back what it gets: the session is muted for its idle time, or it would go on for ever.
   */
  inspect(bytes: Uint8Array, at: number): UdpVerdict {
    if (!this.#reflectors!.isReflected(bytes, at)) {
      return this.#answer(this.#unlessReflected, this.#isSessionless);
    }
    this.countDrop("reflected");
    return DROP;
  }

  /**
   * A datagram of `length` bytes is counted and dropped without `admit`. One to a broadcast address is, since many
   * servers would answer one question.
   */
  dropUnseen(reason: UdpDrop, length: number): typeof DROP {
    this.counters[COUNTER.udpReceivedDatagrams]! += 1;
    this.counters[COUNTER.udpReceivedBytes]! += length;
    this.countDrop(reason);
    return DROP;
  }

  #countReceived(datagrams: number, bytes: number): void {
    this.counters[COUNTER.udpReceivedDatagrams]! += datagrams;
    this.counters[COUNTER.udpReceivedBytes]! += bytes;
  }

  /** The engine could not do as `admit` said. */
  countDrop(reason: UdpDrop): void {
    this.counters[COUNTER.udpDropped + UDP_DROPS.indexOf(reason)]! += 1;
  }

  /**
   * Ends sessions that were idle for their timeout; to be called once per tick of the loop's clock. They are judged by the
   * time of the last tick: what had come by then is read, while a loop that is late may have unread what came since.
   */
  sweep(): void {
    const judgedMs = this.#sweptMs;
    this.#sweptMs = this.#clock.nowMs;
    this.#wheel?.advance(judgedMs, (session) => {
      const deadline = this.#table.lastActiveMs(session) + this.#settings.udpIdleTimeoutMs;
      if (deadline > judgedMs) return deadline;
      this.#end(session, "idle_timeout");
      return 0;
    });
  }

  /** Ends every session, at the server's own end. */
  endAll(reason: UdpClose): void {
    this.#table.endEach((session) => this.#end(session, reason));
  }

  /** The slow way: a newcomer, a session in its first datagrams, a muted one, or one that comes after these in the table. */
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
    const known = this.#table.at(place);
    if (known !== NO_SESSION) this.#seen.bytes[known]! += length;
    if (known !== NO_SESSION && this.#table.isTrusted(known)) {
      this.#table.touch(known, this.#clock.nowMs);
      return ECHO;
    }
    if (known !== NO_SESSION) return this.#watch(known, length);
    if (Atomics.load(this.#control, CONTROL.draining) === 1) return this.#refuse("draining");
    if (place === NO_PLACE || !this.#takeOne()) {
      return this.#look(NO_SESSION, ECHO, length);
    }
    const session = this.#table.add(place, a0, a1, a2, a3, last);
    this.#begin(session);
    this.#seen.begin(session, { a0, a1, a2, a3 }, last & 0xffff);
    this.#seen.bytes[session] = length;
    if (this.#reflectors === null) {
      this.#table.trust(session);
      return FIRST;
    }
    this.#reflectors.begin(session);
    return this.#look(session, FIRST, length);
  }

  /** Books one more session. False where all loops together have `maxUdpSessions` already. */
  #takeOne(): boolean {
    if (Atomics.add(this.#control, CONTROL.udpActive, 1) < this.#settings.maxUdpSessions) return true;
    Atomics.sub(this.#control, CONTROL.udpActive, 1);
    return false;
  }

  #begin(session: number): void {
    const now = this.#clock.nowMs;
    this.#table.touch(session, now);
    this.#openedMs[session] = now;
    this.active++;
    this.counters[COUNTER.udpOpened]! += 1; // counted first: what throws next ends the loop, and its sessions are settled
    this.#wheel?.add(session, now + this.#settings.udpIdleTimeoutMs);
  }

  /** A datagram of a session that is not trusted: it is in its first datagrams, or muted. */
  #watch(session: number, length: number): UdpVerdict {
    const now = this.#clock.nowMs;
    const standing = this.#reflectors!.next(session, now - this.#openedMs[session]!);
    if (standing === MUTED) {
      this.countDrop("reflected"); // and no sign of life: the session ends an idle time after it was muted
      return DROP;
    }
    this.#table.touch(session, now);
    if (standing !== TRUSTED) return this.#look(session, ECHO, length);
    this.#table.trust(session);
    return ECHO;
  }

  /** The verdict, or SUSPECT where the datagram is as long as a banner. */
  #look(session: number, verdict: typeof ECHO | typeof FIRST, length: number): UdpVerdict {
    const isSessionless = session === NO_SESSION;
    if (!this.#reflectors?.suspects(session, length)) return this.#answer(verdict, isSessionless);
    this.#unlessReflected = verdict;
    this.#isSessionless = isSessionless;
    return SUSPECT;
  }

  /** Counts an echo without a session: the table is full, so the client gets its echo, no banner, and is forgotten. */
  #answer(verdict: typeof ECHO | typeof FIRST, isSessionless: boolean): UdpVerdict {
    if (isSessionless) this.counters[COUNTER.udpSessionless]! += 1;
    return verdict;
  }

  #end(session: number, reason: UdpClose): void {
    if (this.active <= 0) throw new Error("more UDP sessions end than there are");
    this.#wheel?.remove(session);
    this.#table.remove(session);
    this.#seen.end(session);
    const seconds = Math.max(0, this.#clock.nowMs - this.#openedMs[session]!) / 1000;
    observeDuration(this.counters, COUNTER.udpDuration, seconds);
    this.counters[COUNTER.udpClosedBy + UDP_CLOSES.indexOf(reason)]! += 1;
    // Last: whoever sees from another thread that it is gone finds it counted.
    this.counters[COUNTER.udpClosed]! += 1;
    this.active--;
    Atomics.sub(this.#control, CONTROL.udpActive, 1);
  }

  /** The port is the probe's; the address must be so too: the same port elsewhere is a client's. */
  #isProbe(a0: number, a1: number, a2: number, a3: number, port: number): boolean {
    return isProbeEnd(this.#control, CONTROL.probeUdpEnd, a0, a1, a2, a3, port);
  }

  #refuse(reason: UdpRefusal): UdpVerdict {
    this.counters[COUNTER.udpRefused + UDP_REFUSALS.indexOf(reason)]! += 1;
    this.countDrop(reason);
    return DROP;
  }
}
