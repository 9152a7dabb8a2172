import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { ProxySource } from "../rules/proxy.ts";
import { C, type TcpClose } from "../state/counters.ts";

/** Whose session it is: addresses as `ip:port`. */
export interface SessionEnds {
  readonly protocol: "tcp";
  readonly client: string;
  readonly server: string;
  /** The proxy, where a PROXY header named the client. */
  readonly via?: string;
}

/** What is told of a session to the log, at debug level. Plain data: it comes from another thread. */
export type SessionEvent =
  | { readonly what: "opened"; readonly session: SessionEnds }
  | { readonly what: "ended"; readonly session: SessionEnds; readonly end: SessionEnd };

/** How it ended. Bytes as the counters count them: without a PROXY header, with the banner. */
export interface SessionEnd {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly reason: TcpClose;
  /** To the millisecond. */
  readonly seconds: number;
}

/** What is kept of a session that is logged. */
interface Entry {
  ends: SessionEnds;
  opened: boolean;
  receivedBytes: number;
  sentBytes: number;
}

/**
 * The sessions of a loop, by slot, where they are logged. An engine that logs none has none of these.
 *
 * A session's bytes are not counted one by one: the loop's own counters are, for every message, and whatever handles a
 * session says so first (`turn`). What the counters have grown by at the next turn was the last one's.
 */
export class SessionLog {
  readonly #tell: (event: SessionEvent) => void;
  readonly #row: Float64Array;
  readonly #entries = new Map<number, Entry>();
  #current: Entry | undefined;
  #receivedBytes = 0;
  #sentBytes = 0;

  /** @param row the loop's counters */
  constructor(tell: (event: SessionEvent) => void, row: Float64Array) {
    this.#tell = tell;
    this.#row = row;
  }

  /** A connection was admitted. It is told once it is known who the client is: `open`. */
  begin(slot: number, peer: Endpoint, local: Endpoint): void {
    const ends: SessionEnds = {
      protocol: "tcp",
      client: formatEndpoint(peer),
      server: formatEndpoint(local),
    };
    this.#entries.set(slot, { ends, opened: false, receivedBytes: 0, sentBytes: 0 });
    this.turn(slot);
  }

  /**
   * Its client is known, so its banner is due.
   * @param source who a PROXY header named: who was taken for the client is then the proxy
   */
  open(slot: number, source: ProxySource | null): void {
    const entry = this.#entries.get(slot)!;
    if (source !== null) {
      const { client: via } = entry.ends;
      entry.ends = { ...entry.ends, client: formatEndpoint({ address: source, port: source.port }), via };
    }
    this.#open(entry);
  }

  #open(entry: Entry): void {
    if (entry.opened) return; // and what a late header says stands at its end
    entry.opened = true;
    this.#tell({ what: "opened", session: entry.ends });
  }

  /** What is counted from here on is this session's. */
  turn(slot: number): void {
    const receivedBytes = this.#row[C.tcpReceivedBytes]!;
    const sentBytes = this.#row[C.tcpSentBytes]!;
    if (this.#current !== undefined) {
      this.#current.receivedBytes += receivedBytes - this.#receivedBytes;
      this.#current.sentBytes += sentBytes - this.#sentBytes;
    }
    this.#receivedBytes = receivedBytes;
    this.#sentBytes = sentBytes;
    this.#current = this.#entries.get(slot);
  }

  /** It is over. One that ended while it waited for its header is told of now: no end is without a beginning. */
  end(slot: number, reason: TcpClose, seconds: number): void {
    this.turn(slot);
    const entry = this.#current!;
    this.#current = undefined;
    this.#entries.delete(slot);
    this.#open(entry);
    const { ends: session, receivedBytes, sentBytes } = entry;
    const end = { receivedBytes, sentBytes, reason, seconds: Math.round(seconds * 1000) / 1000 };
    this.#tell({ what: "ended", session, end });
  }
}
