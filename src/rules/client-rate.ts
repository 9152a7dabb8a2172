import { KeyedHash } from "../state/hash.ts";
import { CLIENT_ADDRESS_WORDS, RATED_CLIENTS, type SharedTables } from "../state/shared.ts";

/** How much of the rate may be used at once: a second's worth. */
const BURST_MS = 1000;

/** Places looked at for a client. */
const PROBES = 8;

/**
 * Datagrams a second of each client address, over all loops: a token bucket as in the banner budget, one number a
 * client. A bucket that is full says nothing, so its place is free for another; where all of a client's places are
 * in use it shares one. Loops do not lock it: when two touch a client's bucket at once, one datagram more passes.
 */
export class ClientRate {
  readonly #clients: Int32Array;
  readonly #fullAtMs: Float64Array;
  readonly #hash: KeyedHash;
  readonly #costMs: number;

  /** @param rate datagrams a second, 1 or more */
  constructor(rate: number, tables: SharedTables) {
    this.#clients = new Int32Array(tables.ratedClients);
    this.#fullAtMs = new Float64Array(tables.clientRates);
    this.#hash = new KeyedHash(new Int32Array(tables.seed));
    this.#costMs = 1000 / rate;
  }

  /** Whether one more datagram of that address is within the rate; it is counted then. */
  takes(a0: number, a1: number, a2: number, a3: number, nowMs: number): boolean {
    const place = this.#find(a0, a1, a2, a3, nowMs);
    const fullAt = Math.max(nowMs, this.#fullAtMs[place]!) + this.#costMs;
    if (fullAt > nowMs + Math.max(BURST_MS, this.#costMs)) return false;
    this.#fullAtMs[place] = fullAt;
    return true;
  }

  /** The client's place; a free one, which it takes; or the first it would have. */
  #find(a0: number, a1: number, a2: number, a3: number, nowMs: number): number {
    const clients = this.#clients;
    const home = this.#hash.of(a0, a1, a2, a3, 0) & (RATED_CLIENTS - 1);
    let free = -1;
    for (let probe = 0; probe < PROBES; probe++) {
      const place = (home + probe) & (RATED_CLIENTS - 1);
      const at = place * CLIENT_ADDRESS_WORDS;
      if (clients[at + 3] === a3 && clients[at + 2] === a2 && clients[at + 1] === a1 && clients[at] === a0) {
        return place;
      }
      if (free === -1 && this.#fullAtMs[place]! <= nowMs) free = place;
    }
    if (free === -1) return home;
    const at = free * CLIENT_ADDRESS_WORDS;
    clients[at] = a0;
    clients[at + 1] = a1;
    clients[at + 2] = a2;
    clients[at + 3] = a3;
    return free;
  }
}
