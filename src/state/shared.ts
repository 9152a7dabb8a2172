import { makeCounterTable } from "./counters.ts";
import { randomSeed, SEED_WORDS } from "./hash.ts";
import { makeSeenTables, type SeenTables } from "./seen-clients.ts";

/** Where each word of the control table is, counted in Int32 words. They are read and written with Atomics only. */
export const CONTROL = {
  /** TCP sessions open in all loops: the cap of `maxTcpSessions` holds across loops. */
  tcpActive: 0,
  udpActive: 1,
  /** 1 while the server drains: newcomers are refused with reason `draining`. */
  draining: 2,
  /** Guards the per-client table and the banner budget; taken at a session's start and end only. */
  lock: 3,
  /** The own end of the server's probe, over TCP and over UDP: the port (0 for none), then the address's four words. */
  probeTcpEnd: 4,
  probeUdpEnd: 9,
  /** The first of one word per loop: what the control plane last told it (`COMMAND`). */
  command: 16,
} as const;

/** Commands to a loop. Of `drain`, `cut` and `stop` each includes those before it; `fail` stands alone. */
export const COMMAND = {
  run: 0,
  /** Take no new sessions. */
  drain: 1,
  /** End the sessions that are left. */
  cut: 2,
  /** Free everything. */
  stop: 3,
  /** Fault injection: throw, as a bug would. */
  fail: 4,
} as const;

/** Words per entry of the per-client table: the address (4), then sessions in each loop. */
export const CLIENT_ADDRESS_WORDS = 4;

/** Buckets of the banner budget by source prefix; two prefixes that share one share its budget. */
export const PREFIX_BUCKETS = 16384;

/** The protocols that a loop serves. */
export interface Serves {
  readonly tcp: boolean;
  readonly udp: boolean;
}

const BOTH: Serves = { tcp: true, udp: true };

/** Banners remembered, to know them when they come back: the rate of a second and more, at the default budget. */
export const SENT_BANNERS = 65536;

/** Clients whose rate is kept, where `--udp-rate-per-client` sets one. A power of two. */
export const RATED_CLIENTS = 65536;

/** Memory that all loops and the control plane share. It can be handed to a Worker as it is. */
export interface SharedTables {
  readonly loops: number;
  /** What each loop serves. */
  readonly serves: readonly Serves[];
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Sessions per client address: open addressing, a power of two of entries; one word long where no cap is set. */
  readonly clients: SharedArrayBuffer;
  /** Banner budget: virtual schedule times (ms), the whole server's first, then one per prefix bucket. */
  readonly bannerBudget: SharedArrayBuffer;
  /** The mark of each UDP source port, one byte a port: bits of the loop guard and the probe, 0 for none. */
  readonly sourcePorts: SharedArrayBuffer;
  /** The secret of every hash, `SEED_WORDS` words: the same in all loops, since they share tables. */
  readonly seed: SharedArrayBuffer;
  /** Banners sent lately, by hash. Pages cost nothing until they are written to, as in what follows. */
  readonly sentBanners: SharedArrayBuffer;
  /** Rate per client: its address (4 words each), and when it may have its full burst again (ms). */
  readonly ratedClients: SharedArrayBuffer;
  readonly clientRates: SharedArrayBuffer;
  /** The clients seen last; null where they are not kept. */
  readonly lastClients: SeenTables | null;
}

/**
 * The tables for `loops` loops. `clientsMax` is how many distinct clients can have sessions at once
 * (the session cap) where a per-client cap is on, else 0. `serves`: what each loop serves, both protocols by default.
 * `secret` is what hashes are keyed with. `seen`: how many of the clients seen last are kept of each protocol, and the
 * slots of a loop's sessions.
 */
export function makeSharedTables(
  loops: number,
  clientsMax: number,
  serves: readonly Serves[] = Array.from({ length: loops }, () => BOTH),
  secret: ArrayLike<number> = randomSeed(),
  seen: Pick<SeenTables, "rows" | "slots"> | null = null,
): SharedTables {
  const entries = clientsMax === 0 ? 0 : 2 ** Math.ceil(Math.log2(clientsMax * 2));
  const seed = new SharedArrayBuffer(SEED_WORDS * 4);
  new Int32Array(seed).set(secret);
  return {
    loops,
    serves,
    control: new SharedArrayBuffer((CONTROL.command + loops) * 4),
    counters: makeCounterTable(loops),
    clients: new SharedArrayBuffer(entries * (CLIENT_ADDRESS_WORDS + loops) * 4),
    bannerBudget: new SharedArrayBuffer((1 + PREFIX_BUCKETS) * 8),
    sourcePorts: new SharedArrayBuffer(65536),
    seed,
    sentBanners: new SharedArrayBuffer(SENT_BANNERS * 4),
    ratedClients: new SharedArrayBuffer(RATED_CLIENTS * CLIENT_ADDRESS_WORDS * 4),
    clientRates: new SharedArrayBuffer(RATED_CLIENTS * 8),
    lastClients: seen === null || seen.rows === 0 ? null : makeSeenTables(loops, seen.rows, seen.slots),
  };
}

/**
 * Takes the lock of the shared tables. Held for a few hundred nanoseconds at a session's start or end, never per
 * message; give it back in a `finally`.
 */
export function lock(control: Int32Array): void {
  while (Atomics.compareExchange(control, CONTROL.lock, 0, 1) !== 0)
    Atomics.wait(control, CONTROL.lock, 1, 1);
}

export function unlock(control: Int32Array): void {
  Atomics.store(control, CONTROL.lock, 0);
  Atomics.notify(control, CONTROL.lock, 1);
}
