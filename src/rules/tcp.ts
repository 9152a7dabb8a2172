import { type Address, type Cidr, inCidr, parseCidr } from "./address.ts";
import { Banner } from "./banner.ts";
import { ClientTable } from "./clients.ts";
import type { Clock } from "./clock.ts";
import {
  C,
  counterRow,
  observeDuration,
  PROXY_KINDS,
  TCP_CLOSES,
  TCP_REFUSALS,
  type TcpClose,
  type TcpRefusal,
} from "./counters.ts";
import { hasFullSignature, parseProxyHeader } from "./proxy.ts";
import type { LoopSettings } from "./settings.ts";
import { type SharedTables, WORD } from "./shared.ts";
import { DeadlineWheel, wheelTickMs } from "./wheel.ts";

/** Where a session stands. An engine echoes only in `OPEN`. */
export const FREE = 0;
/** Waiting for a PROXY header: what comes goes to `header`, nothing is sent. */
export const AWAITING_HEADER = 1;
export const OPEN = 2;
/** Refused, and counted: the engine resets the connection. */
export const REFUSED = 3;
export type Phase = typeof FREE | typeof AWAITING_HEADER | typeof OPEN | typeof REFUSED;

const NOTHING = new Uint8Array(0);

/** What an engine does when a deadline passes. */
export interface TcpDeadlines {
  /** The session was idle for its timeout: end it, then `close(slot, "idle_timeout")`. */
  idle(slot: number): void;
  /** Its PROXY header did not come in time: call `headerEnd(slot, "proxy_timeout")` and do as it says. */
  headerTimeout(slot: number): void;
}

/**
 * The rule book of TCP sessions: who is admitted, what banner it gets, when it ends; nothing of sockets. A session
 * is a slot, a small number that the engine chooses (a descriptor, or a place in its own table) from 0 to `slots - 1`.
 *
 * A connection's story: `open` admits or refuses it. Where a PROXY header is due, what arrives goes to `header`
 * until that says OPEN. On OPEN the engine sends `banner.bytes` up to `bannerLength`, echoes `pending`, and from
 * then on echoes by itself: per message it adds to the byte counters in `row` and stamps `lastActiveMs[slot]`.
 * `close` ends the story in every case but REFUSED by `open`.
 */
export class TcpRules {
  /** This loop's counters. */
  readonly row: Float64Array;
  /** When a byte last moved, by the loop's clock. */
  readonly lastActiveMs: Float64Array;
  readonly banner: Banner;
  /** Length of the banner due on the latest OPEN, 0 for none. */
  bannerLength = 0;
  /** Bytes that came with or in place of the header of the latest OPEN: the first to be echoed. */
  pending: Uint8Array = NOTHING;
  /** Sessions of this loop. */
  active = 0;

  readonly #settings: LoopSettings;
  readonly #clock: Clock;
  readonly #control: Int32Array;
  readonly #loop: number;
  readonly #trusted: readonly Cidr[];
  readonly #clients: ClientTable | null;
  readonly #wheel: DeadlineWheel | null;
  readonly #phase: Uint8Array;
  readonly #openedMs: Float64Array;
  /** Words of the client's address, and whether it is booked in the per-client table. */
  readonly #client: Int32Array;
  readonly #booked: Uint8Array;
  /** Bytes of an unfinished PROXY header, by slot: only sessions in AWAITING_HEADER have any. */
  readonly #headers = new Map<number, { local: Endpoint; peer: Endpoint; bytes: Uint8Array }>();

  constructor(
    settings: LoopSettings,
    tables: SharedTables,
    loop: number,
    slots: number,
    clock: Clock,
    banner = new Banner(settings.bannerFields),
  ) {
    this.row = counterRow(tables.counters, loop);
    this.lastActiveMs = new Float64Array(slots);
    this.banner = banner;
    this.#settings = settings;
    this.#clock = clock;
    this.#control = new Int32Array(tables.control);
    this.#loop = loop;
    this.#trusted = settings.proxyTrusted.map((text) => parseCidr(text)!);
    this.#clients = settings.maxTcpSessionsPerClient > 0 ? new ClientTable(tables) : null;
    this.#phase = new Uint8Array(slots);
    this.#openedMs = new Float64Array(slots);
    this.#client = new Int32Array(slots * 4);
    this.#booked = new Uint8Array(slots);
    const timeouts = [
      settings.tcpIdleTimeoutMs,
      settings.proxyProtocol === "off" ? 0 : settings.proxyTimeoutMs,
    ];
    const used = timeouts.filter((ms) => ms > 0);
    this.#wheel =
      used.length === 0
        ? null
        : new DeadlineWheel(slots, Math.max(...used), wheelTickMs(Math.min(...used)), clock.nowMs);
  }

  phase(slot: number): Phase {
    return this.#phase[slot] as Phase;
  }

  /** A connection was accepted: OPEN, AWAITING_HEADER or REFUSED (and then not a session, not to be closed). */
  open(slot: number, peer: Address, peerPort: number, local: Address, localPort: number): Phase {
    if (Atomics.load(this.#control, WORD.draining) === 1) return this.#refuse("draining");
    if (Atomics.add(this.#control, WORD.tcpActive, 1) >= this.#settings.maxTcpSessions) {
      Atomics.sub(this.#control, WORD.tcpActive, 1);
      return this.#refuse("max_sessions");
    }
    const awaits = this.#awaitsHeader(peer);
    const refusal = awaits === "refuse" ? "proxy_untrusted" : awaits ? null : this.#book(slot, peer);
    if (refusal !== null) {
      Atomics.sub(this.#control, WORD.tcpActive, 1);
      return this.#refuse(refusal);
    }
    const now = this.#clock.nowMs;
    this.active++;
    this.row[C.tcpOpened]! += 1;
    this.lastActiveMs[slot] = now;
    this.#openedMs[slot] = now;
    this.pending = NOTHING;
    if (awaits) {
      const ends = { local: endpoint(local, localPort), peer: endpoint(peer, peerPort), bytes: NOTHING };
      this.#headers.set(slot, ends);
      this.#phase[slot] = AWAITING_HEADER;
      this.#wheel!.add(slot, now + this.#settings.proxyTimeoutMs);
      return AWAITING_HEADER;
    }
    this.#phase[slot] = OPEN;
    if (this.#settings.tcpIdleTimeoutMs > 0) this.#wheel!.add(slot, now + this.#settings.tcpIdleTimeoutMs);
    this.bannerLength = this.#settings.banner ? this.banner.write(local, localPort, peer, peerPort) : 0;
    return OPEN;
  }

  /** Bytes came while the header is due: AWAITING_HEADER still, OPEN, or REFUSED (the engine closes the session). */
  header(slot: number, chunk: Uint8Array): Phase {
    const state = this.#headers.get(slot)!;
    // "more" is only said of what may still fit PROXY_HEADER_MAX: what a session that waits can cost is bounded.
    state.bytes = concat(state.bytes, chunk); // a copy: the chunk is the engine's
    const verdict = parseProxyHeader(state.bytes, state.bytes.length);
    switch (verdict.kind) {
      case "more":
        return AWAITING_HEADER;
      case "malformed":
        return this.#drop(slot, "proxy_malformed");
      case "plain":
        return this.headerEnd(slot, "proxy_missing");
      case "header": {
        const kind = verdict.source === null ? "local" : verdict.version === 1 ? "v1" : "v2";
        this.row[C.proxyHeaders + PROXY_KINDS.indexOf(kind)]! += 1;
        return this.#begin(slot, state.bytes.subarray(verdict.length), verdict.source);
      }
    }
  }

  /**
   * No (more) header will come: the peer sent something else or a FIN (`proxy_missing`), or its time is over
   * (`proxy_timeout`). OPEN where plain connections are accepted, else REFUSED.
   */
  headerEnd(slot: number, reason: "proxy_missing" | "proxy_timeout"): Phase {
    const { bytes } = this.#headers.get(slot)!;
    // A whole signature followed by silence is a broken header, and no byte of a header is ever echoed.
    const broken = hasFullSignature(bytes, bytes.length);
    if (this.#settings.proxyProtocol === "require") return this.#drop(slot, reason);
    if (broken) return this.#drop(slot, reason === "proxy_missing" ? "proxy_malformed" : reason);
    return this.#begin(slot, bytes, null);
  }

  /** A session ends. Its slot is free from here on. */
  close(slot: number, reason: TcpClose): void {
    const seconds = Math.max(0, this.#clock.nowMs - this.#openedMs[slot]!) / 1000;
    this.#phase[slot] = FREE;
    this.#headers.delete(slot);
    this.#wheel?.remove(slot);
    if (this.#booked[slot] === 1) {
      this.#booked[slot] = 0;
      this.#clients!.leave(this.#clientOf(slot), this.#loop);
    }
    this.active--;
    Atomics.sub(this.#control, WORD.tcpActive, 1);
    this.row[C.tcpClosed]! += 1;
    this.row[C.tcpClosedBy + TCP_CLOSES.indexOf(reason)]! += 1;
    observeDuration(this.row, C.tcpDuration, seconds);
  }

  /** How long the session has lasted, in seconds. */
  age(slot: number): number {
    return Math.max(0, this.#clock.nowMs - this.#openedMs[slot]!) / 1000;
  }

  /** A newcomer was turned away before it had a slot: by the engine (`no_descriptors`) or by `open`. */
  countRefusal(reason: TcpRefusal): void {
    this.row[C.tcpRefused + TCP_REFUSALS.indexOf(reason)]! += 1;
  }

  /** Looks after deadlines; to be called once per tick of the loop's clock. */
  sweep(handler: TcpDeadlines): void {
    this.#wheel?.advance(this.#clock.nowMs, (slot) => this.#check(slot, handler));
  }

  #check(slot: number, handler: TcpDeadlines): number {
    const now = this.#clock.nowMs;
    const waits = this.#phase[slot] === AWAITING_HEADER;
    const timeoutMs = waits ? this.#settings.proxyTimeoutMs : this.#settings.tcpIdleTimeoutMs;
    const deadline = (waits ? this.#openedMs[slot]! : this.lastActiveMs[slot]!) + timeoutMs;
    if (deadline > now) return deadline;
    if (waits) handler.headerTimeout(slot);
    else handler.idle(slot);
    return 0;
  }

  /** The header is over: from here on the session is like any other. */
  #begin(slot: number, pending: Uint8Array, source: (Address & { port: number }) | null): Phase {
    const { local, peer } = this.#headers.get(slot)!;
    const refusal = this.#book(slot, source ?? peer.address);
    if (refusal !== null) return this.#drop(slot, refusal);
    this.#headers.delete(slot);
    this.#phase[slot] = OPEN;
    this.lastActiveMs[slot] = this.#clock.nowMs;
    this.#wheel!.remove(slot);
    const idleMs = this.#settings.tcpIdleTimeoutMs;
    if (idleMs > 0) this.#wheel!.add(slot, this.#clock.nowMs + idleMs);
    this.row[C.tcpReceivedBytes]! += pending.length;
    this.pending = pending;
    const client = source ?? peer.address;
    const clientPort = source?.port ?? peer.port;
    const via = source === null ? null : peer;
    this.bannerLength = this.#settings.banner
      ? this.banner.write(local.address, local.port, client, clientPort, via)
      : 0;
    return OPEN;
  }

  #awaitsHeader(peer: Address): boolean | "refuse" {
    if (this.#settings.proxyProtocol === "off") return false;
    if (this.#trusted.length === 0 || this.#trusted.some((cidr) => inCidr(cidr, peer))) return true;
    return this.#settings.proxyProtocol === "require" ? "refuse" : false;
  }

  /** Books the session for its client; a refusal where that client has its fill. */
  #book(slot: number, client: Address): TcpRefusal | null {
    this.#client[slot * 4] = client.a0;
    this.#client[slot * 4 + 1] = client.a1;
    this.#client[slot * 4 + 2] = client.a2;
    this.#client[slot * 4 + 3] = client.a3;
    if (this.#clients === null) return null;
    const refusal = this.#clients.enter(client, this.#loop, this.#settings.maxTcpSessionsPerClient);
    if (refusal === null) this.#booked[slot] = 1;
    return refusal;
  }

  #clientOf(slot: number): Address {
    const [a0, a1, a2, a3] = this.#client.subarray(slot * 4, slot * 4 + 4);
    return { a0: a0!, a1: a1!, a2: a2!, a3: a3! };
  }

  #refuse(reason: TcpRefusal): Phase {
    this.countRefusal(reason);
    return REFUSED;
  }

  /** Refuses a session that was admitted: the engine closes it. */
  #drop(slot: number, reason: TcpRefusal): Phase {
    this.#headers.delete(slot);
    this.#phase[slot] = REFUSED;
    return this.#refuse(reason);
  }
}

interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** A copy: engines reuse the address they pass in. */
function endpoint({ a0, a1, a2, a3 }: Address, port: number): Endpoint {
  return { address: { a0, a1, a2, a3 }, port };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
