import { formatAddress } from "../../src/net/address.ts";
import { endName, type SyncUdp } from "./sync-udp.ts";

interface Session {
  readonly openedMs: number;
  activeMs: number;
  datagrams: number;
  isTrusted: boolean;
  isMuted: boolean;
}

/** A datagram that must come to a client. `isSure`: where the kernel takes none just then, the probe's is not kept. */
export interface Due {
  readonly from: string;
  /** Null for a banner, which names these ends. */
  readonly bytes: Buffer | null;
  readonly isSure: boolean;
}

interface Seen {
  sessions: number;
  bytes: number;
}

/** What ought to become of each datagram, one by one; written from the rules' words and not from their code. */
export class Model {
  readonly sessions = new Map<string, Session>();
  readonly seen = new Map<string, Seen>();
  readonly counts = { datagrams: 0, bytes: 0, opened: 0, sessionless: 0, refused: 0 };
  readonly drops: Record<string, number> = {};
  probe: SyncUdp | null = null;
  isDraining = false;
  nowMs = 0;

  constructor(
    readonly hasBanner: boolean,
    readonly blockedPorts: readonly number[],
    readonly maxSessions: number,
    readonly idleMs: number,
  ) {}

  drop(reason: string, length: number): Due[] {
    this.counts.datagrams++;
    this.counts.bytes += length;
    this.drops[reason] = (this.drops[reason] ?? 0) + 1;
    return [];
  }

  /** What comes back to a client for a datagram to one of the server's addresses. */
  receive(client: SyncUdp, from: string, bytes: Buffer, isBanner: boolean): Due[] {
    const echo: Due = { from, bytes, isSure: client !== this.probe };
    if (client === this.probe) return [echo];
    if (this.blockedPorts.includes(client.port)) return this.drop("blocked_source_port", bytes.length);
    const key = `${endName(client.address, client.port)} ${from}`;
    const session = this.sessions.get(key);
    const isReflection = isBanner && this.hasBanner;
    if (session === undefined) return this.#newcomer(key, client, echo, isReflection);
    this.#bring(client, bytes.length, 0);
    if (session.isMuted) return this.drop("reflected", bytes.length);
    session.activeMs = this.nowMs;
    session.datagrams++;
    if (!this.hasBanner || (session.datagrams > 16 && this.nowMs - session.openedMs > 1000))
      session.isTrusted = true;
    if (isReflection && !session.isTrusted) {
      session.isMuted = true;
      return this.drop("reflected", bytes.length);
    }
    return this.#counted(echo);
  }

  #newcomer(key: string, client: SyncUdp, echo: Due, isReflection: boolean): Due[] {
    const length = echo.bytes!.length;
    if (this.isDraining) {
      this.counts.refused++;
      return this.drop("draining", length);
    }
    const hasRoom = this.sessions.size < this.maxSessions;
    if (hasRoom) {
      this.sessions.set(key, {
        openedMs: this.nowMs,
        activeMs: this.nowMs,
        datagrams: 1,
        isTrusted: !this.hasBanner,
        isMuted: isReflection,
      });
      this.counts.opened++;
      this.#bring(client, length, 1);
    }
    if (isReflection) return this.drop("reflected", length);
    if (!hasRoom) this.counts.sessionless++;
    const greets = hasRoom && this.hasBanner;
    return [...(greets ? [{ from: echo.from, bytes: null, isSure: true }] : []), ...this.#counted(echo)];
  }

  #counted(echo: Due): Due[] {
    this.counts.datagrams++;
    this.counts.bytes += echo.bytes!.length;
    return [echo];
  }

  #bring(client: SyncUdp, bytes: number, sessions: number): void {
    const address = formatAddress(client.address);
    const seen = this.seen.get(address) ?? { sessions: 0, bytes: 0 };
    this.seen.set(address, { sessions: seen.sessions + sessions, bytes: seen.bytes + bytes });
  }

  /** Time passes; whoever was silent for its idle time is gone. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const [key, { activeMs }] of this.sessions)
      if (activeMs + this.idleMs <= this.nowMs) this.sessions.delete(key);
  }

  /** Whether a session's end is so near to now that the loop, which looks now and then, may have it or not. */
  isUnclear(nowMs: number): boolean {
    return [...this.sessions.values()].some(({ activeMs }) => Math.abs(activeMs + this.idleMs - nowMs) < 300);
  }

  open(): Set<string> {
    return new Set([...this.sessions.keys()].map((key) => key.split(",").slice(0, 4).join()));
  }
}
