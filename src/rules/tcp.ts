import type { Address } from "../net/address.ts";
import type { Clock } from "../state/clock.ts";
import {
  COUNTER,
  countersOf,
  observeDuration,
  PROXY_KINDS,
  TCP_CLOSES,
  TCP_REFUSALS,
  type TcpClose,
  type TcpRefusal,
} from "../state/counters.ts";
import { isProbeEnd } from "../state/probe-end.ts";
import { CONTROL, type SharedTables } from "../state/shared.ts";
import { Banner } from "./banner.ts";
import { ClientPlaces } from "./client-places.ts";
import { clientOf, endpoint, HeaderWait, ProxyTrust } from "./header-wait.ts";
import { hasFullSignature, type ProxySource, parseProxyHeader } from "./proxy.ts";
import type { RuleSettings } from "./settings.ts";
import type { Opened, TcpDeadlines } from "./tcp-engine.ts";
import { AWAITING_HEADER, AWAITING_LATE_HEADER, FREE, OPEN, type Phase, REFUSED } from "./tcp-phase.ts";
import { type DeadlineWheel, wheelFor } from "./wheel.ts";

const NOTHING = new Uint8Array(0);

/**
 * The rule book of TCP sessions: who is admitted, what banner it gets, when it ends; nothing of sockets. A session
 * is a slot, a small number that the engine chooses (a descriptor, or a place in its own table) from 0 to `slots - 1`.
 *
 * A connection's story: `open` admits or refuses it. Where a PROXY header is due, what arrives goes to `header`
 * until that says OPEN. On OPEN the engine does as `opened` says: it sends `banner.bytes` up to `bannerLength`, echoes
 * `pending`, and from then on echoes by itself. On AWAITING_LATE_HEADER it sends the banner only, and OPEN comes with the
 * first bytes. `close` ends the story, except where `open` said REFUSED. The server's own probe has no session:
 * `openProbe` knows it.
 */
export class TcpRules {
  /**
   * Counters of this loop. The engine adds the bytes that it receives and sends (and what it queues); the rules add all
   * other TCP columns, and the received bytes of `pending`, which no engine has counted.
   */
  readonly counters: Float64Array;
  /** Time at which a byte of the slot's session last moved, by the loop's clock. The engine stamps it per message. */
  readonly lastActiveMs: Float64Array;
  /** Bytes that the slot's session brought. The engine adds all that it counts as received. */
  readonly broughtBytes: Float64Array;
  readonly banner: Banner;
  /** What is due to the session that began last. */
  readonly opened: Opened = { bannerLength: 0, pending: NOTHING, source: null };
  /** Number of this loop's sessions. */
  active = 0;
  readonly #settings: RuleSettings;
  readonly #clock: Clock;
  readonly #control: Int32Array;
  readonly #trust: ProxyTrust;
  readonly #clients: ClientPlaces;
  readonly #wheel: DeadlineWheel | null;
  readonly #phase: Uint8Array;
  readonly #openedMs: Float64Array;
  /** Sessions whose first bytes may be a PROXY header, by slot. */
  readonly #headers = new Map<number, HeaderWait>();

  constructor(
    settings: RuleSettings,
    tables: SharedTables,
    loop: number,
    slots: number,
    clock: Clock,
    banner = new Banner(settings.bannerFields),
  ) {
    this.counters = countersOf(tables.counters, loop);
    this.lastActiveMs = new Float64Array(slots);
    this.banner = banner;
    this.#settings = settings;
    this.#clock = clock;
    this.#control = new Int32Array(tables.control);
    this.#trust = new ProxyTrust(settings);
    this.#clients = new ClientPlaces(tables, loop, slots, settings.maxTcpSessionsPerClient, clock);
    this.broughtBytes = this.#clients.broughtBytes;
    this.#phase = new Uint8Array(slots);
    this.#openedMs = new Float64Array(slots);
    const headerMs = settings.proxyProtocol === "off" ? 0 : settings.proxyTimeoutMs;
    this.#wheel = wheelFor(slots, [settings.tcpIdleTimeoutMs, headerMs], clock.nowMs);
  }

  phase(slot: number): Phase {
    return this.#phase[slot] as Phase;
  }

  /**
   * Whether an accepted connection is the server's own probe; to be asked before anything is held against it. It is
   * no session: the engine sends it the banner, of `opened.bannerLength` bytes, echoes what comes, and counts nothing.
   */
  openProbe(peer: Address, peerPort: number, local: Address, localPort: number): boolean {
    const { a0, a1, a2, a3 } = peer;
    if (!isProbeEnd(this.#control, CONTROL.probeTcpEnd, a0, a1, a2, a3, peerPort)) return false;
    this.opened.bannerLength = this.#writeBanner(local, localPort, peer, peerPort, null);
    return true;
  }

  /**
   * A connection was accepted: OPEN, AWAITING_HEADER or REFUSED (and then not a session, not to be closed).
   * @throws when the slot has a session already, or is watched for one. `close(slot, "fault")` then sets it right
   */
  open(slot: number, peer: Address, peerPort: number, local: Address, localPort: number): Phase {
    if (Atomics.load(this.#control, CONTROL.draining) === 1) return this.#refuse("draining");
    if ((this.#phase[slot] ?? FREE) !== FREE) throw new Error(`slot ${slot} has a session already`);
    if (Atomics.add(this.#control, CONTROL.tcpActive, 1) >= this.#settings.maxTcpSessions) {
      Atomics.sub(this.#control, CONTROL.tcpActive, 1);
      return this.#refuse("max_sessions");
    }
    const awaits = this.#trust.awaitsHeader(peer);
    const refusal =
      awaits === "refuse" ? "proxy_untrusted" : awaits ? null : this.#clients.take(slot, peer, peerPort);
    if (refusal !== null) {
      Atomics.sub(this.#control, CONTROL.tcpActive, 1);
      return this.#refuse(refusal);
    }
    const now = this.#clock.nowMs;
    this.active++;
    this.counters[COUNTER.tcpOpened]! += 1;
    this.lastActiveMs[slot] = now;
    this.#openedMs[slot] = now;
    this.opened.pending = NOTHING;
    this.opened.source = null;
    if (awaits) {
      const wait = new HeaderWait(endpoint(local, localPort), endpoint(peer, peerPort), now);
      this.#headers.set(slot, wait);
      this.#phase[slot] = AWAITING_HEADER;
      this.#wheel!.add(slot, now + this.#settings.proxyTimeoutMs);
      return AWAITING_HEADER;
    }
    this.#phase[slot] = OPEN;
    if (this.#settings.tcpIdleTimeoutMs > 0) this.#wheel!.add(slot, now + this.#settings.tcpIdleTimeoutMs);
    this.opened.bannerLength = this.#writeBanner(local, localPort, peer, peerPort, null);
    return OPEN;
  }

  /** Bytes came where a header may: the phase as it was, OPEN, or REFUSED (the engine closes the session). */
  header(slot: number, chunk: Uint8Array): Phase {
    const wait = this.#headers.get(slot)!;
    // "more" is only said of what may still fit PROXY_HEADER_MAX: what a session that waits can cost is bounded.
    wait.add(chunk);
    const verdict = parseProxyHeader(wait.bytes, wait.bytes.length);
    switch (verdict.kind) {
      case "more":
        if (wait.hurry(this.#clock.nowMs)) this.#watch(slot, this.#settings.proxyTimeoutMs);
        return this.phase(slot);
      case "malformed":
        return this.#drop(slot, "proxy_malformed");
      case "plain":
        return this.headerEnd(slot, "proxy_missing");
      case "header": {
        const kind = verdict.source === null ? "local" : verdict.version === 1 ? "v1" : "v2";
        this.counters[COUNTER.proxyHeaders + PROXY_KINDS.indexOf(kind)]! += 1;
        if (wait.late) this.counters[COUNTER.proxyLate]! += 1;
        return this.#begin(slot, wait, wait.bytes.subarray(verdict.length), verdict.source);
      }
    }
  }

  /**
   * No (more) header will come: the peer sent something else or a FIN (`proxy_missing`), or its time is over
   * (`proxy_timeout`). OPEN or AWAITING_LATE_HEADER where plain connections are accepted, else REFUSED.
   */
  headerEnd(slot: number, reason: "proxy_missing" | "proxy_timeout"): Phase {
    const wait = this.#headers.get(slot)!;
    const { bytes } = wait;
    if (this.#settings.proxyProtocol === "require") return this.#drop(slot, reason);
    // A whole signature followed by silence is a broken header, and no byte of a header is ever echoed.
    const broken = hasFullSignature(bytes, bytes.length);
    if (broken) return this.#drop(slot, reason === "proxy_missing" ? "proxy_malformed" : reason);
    if (reason === "proxy_timeout" && bytes.length === 0) return this.#greet(slot, wait);
    return this.#begin(slot, wait, bytes, null);
  }

  /** Bytes of an unfinished header that are kept for the session. */
  heldBytes(slot: number): number {
    return this.#headers.get(slot)?.bytes.length ?? 0;
  }

  /**
   * A session ends. Its slot is free from here on.
   * @throws when there is no such session; then nothing is counted. Which sessions there are is not known any more
   */
  close(slot: number, reason: TcpClose): void {
    if (this.#phase[slot] === FREE) throw new Error(`slot ${slot} has no session to close`);
    if (this.active <= 0) throw new Error("more sessions end than there are");
    const seconds = this.age(slot);
    this.#phase[slot] = FREE;
    this.#headers.delete(slot);
    this.#wheel?.remove(slot);
    this.#clients.end(slot);
    observeDuration(this.counters, COUNTER.tcpDuration, seconds);
    this.counters[COUNTER.tcpClosedBy + TCP_CLOSES.indexOf(reason)]! += 1;
    // Last: whoever sees from another thread that it is gone finds it counted.
    this.counters[COUNTER.tcpClosed]! += 1;
    this.active--;
    Atomics.sub(this.#control, CONTROL.tcpActive, 1);
  }

  /** How long the session has lasted, in seconds. */
  age(slot: number): number {
    return Math.max(0, this.#clock.nowMs - this.#openedMs[slot]!) / 1000;
  }

  /** A newcomer was turned away before it had a slot: by the engine (`no_descriptors`) or by `open`. */
  countRefusal(reason: TcpRefusal): void {
    this.counters[COUNTER.tcpRefused + TCP_REFUSALS.indexOf(reason)]! += 1;
  }

  /** Looks after deadlines; to be called once per tick of the loop's clock. */
  sweep(handler: TcpDeadlines): void {
    this.#wheel?.advance(this.#clock.nowMs, (slot) => this.#check(slot, handler));
  }

  #check(slot: number, handler: TcpDeadlines): number {
    const now = this.#clock.nowMs;
    const wait = this.#headers.get(slot);
    if (wait !== undefined && wait.sinceMs !== null) {
      const deadline = wait.sinceMs + this.#settings.proxyTimeoutMs;
      if (deadline > now) return deadline;
      if (wait.isExcused(handler.lastMovedMs(slot) === now)) return now + 1;
      handler.headerTimeout(slot);
      return 0;
    }
    const timeoutMs = this.#settings.tcpIdleTimeoutMs;
    if (this.lastActiveMs[slot]! + timeoutMs <= now) this.lastActiveMs[slot] = handler.lastMovedMs(slot);
    const deadline = this.lastActiveMs[slot]! + timeoutMs;
    if (deadline > now) return deadline;
    handler.idle(slot);
    return 0;
  }

  /** The time for a header is over and none has begun: the banner is due, but a header may still follow. */
  #greet(slot: number, wait: HeaderWait): Phase {
    const refusal = this.#clients.take(slot, wait.peer.address, wait.peer.port);
    if (refusal !== null) return this.#drop(slot, refusal);
    wait.becomeLate();
    this.opened.source = null;
    this.opened.bannerLength = this.#banner(wait, null);
    return this.#enter(slot, AWAITING_LATE_HEADER, NOTHING);
  }

  /** The header is over: from here on the session is like any other. */
  #begin(slot: number, wait: HeaderWait, pending: Uint8Array, source: ProxySource | null): Phase {
    if (!wait.late || source !== null) {
      this.#clients.leave(slot); // until a late header came, it counted for the proxy
      const { address, port } = clientOf(wait, source);
      const refusal = this.#clients.take(slot, address, port);
      if (refusal !== null) return this.#drop(slot, refusal);
    }
    this.opened.source = source;
    this.opened.bannerLength = wait.late ? 0 : this.#banner(wait, source);
    this.#headers.delete(slot);
    this.counters[COUNTER.tcpReceivedBytes]! += pending.length;
    this.broughtBytes[slot]! += pending.length;
    return this.#enter(slot, OPEN, pending);
  }

  #enter(slot: number, phase: Phase, pending: Uint8Array): Phase {
    this.#phase[slot] = phase;
    this.opened.pending = pending;
    this.lastActiveMs[slot] = this.#clock.nowMs;
    this.#watch(slot, this.#settings.tcpIdleTimeoutMs);
    return phase;
  }

  /** From now on the session's deadline is this one alone; 0: none. */
  #watch(slot: number, timeoutMs: number): void {
    this.#wheel!.remove(slot);
    if (timeoutMs > 0) this.#wheel!.add(slot, this.#clock.nowMs + timeoutMs);
  }

  /** Writes the banner of a session that waited for a header. */
  #banner(wait: HeaderWait, source: ProxySource | null): number {
    const { local, peer } = wait;
    const { address, port } = clientOf(wait, source);
    return this.#writeBanner(local.address, local.port, address, port, source === null ? null : peer);
  }

  /** Writes the banner, where there are banners; its length. */
  #writeBanner(...ends: Parameters<Banner["write"]>): number {
    return this.#settings.banner ? this.banner.write(...ends) : 0;
  }

  #refuse(reason: TcpRefusal): Phase {
    this.countRefusal(reason);
    return REFUSED;
  }

  /** Refuses a session that was admitted: the engine closes it. */
  #drop(slot: number, reason: TcpRefusal): Phase {
    this.#headers.delete(slot);
    this.#wheel!.remove(slot);
    this.#phase[slot] = REFUSED;
    return this.#refuse(reason);
  }
}
