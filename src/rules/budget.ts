import { type Address, isIPv4, MAPPED } from "../net/address.ts";
import { KeyedHash } from "../state/hash.ts";
import { lock, PREFIX_BUCKETS, type SharedTables, unlock } from "../state/shared.ts";
import type { RuleSettings } from "./settings.ts";

/** How much of the rate may be spent at once: a second's worth, so a burst of new clients gets its banners. */
const BURST_MS = 1000;

/**
 * The banner budget, for the whole server and for each source prefix (IPv4 /24, IPv6 /64), over all loops: a token
 * bucket kept as the time at which it would be full again (GCRA, ITU-T I.371), so a bucket is one number and needs
 * no refilling. Prefixes share a fixed number of buckets: memory stays bounded whatever addresses are forged, and
 * two prefixes that meet in a bucket share its budget; who meets whom is a secret.
 */
export class BannerBudget {
  readonly #control: Int32Array;
  readonly #fullAtMs: Float64Array;
  readonly #hash: KeyedHash;
  readonly #costMs: number;
  readonly #costPerPrefixMs: number;

  /** A rate that is Infinity costs nothing; one of 0 is not for a bucket to know: there are no banners then. */
  constructor(settings: RuleSettings, tables: SharedTables) {
    this.#control = new Int32Array(tables.control);
    this.#fullAtMs = new Float64Array(tables.bannerBudget);
    this.#hash = new KeyedHash(new Int32Array(tables.seed));
    this.#costMs = 1000 / settings.udpBannerRate;
    this.#costPerPrefixMs = 1000 / settings.udpBannerRatePerPrefix;
  }

  /** Pays for one banner to `client`, or says which bucket is empty; then nothing is paid. */
  spend(client: Address, nowMs: number): "rate" | "prefix_rate" | null {
    const bucket = 1 + this.#prefixBucket(client);
    lock(this.#control);
    try {
      const prefixFullAt = Math.max(nowMs, this.#fullAtMs[bucket]!) + this.#costPerPrefixMs;
      if (prefixFullAt > nowMs + Math.max(BURST_MS, this.#costPerPrefixMs)) return "prefix_rate";
      const fullAt = Math.max(nowMs, this.#fullAtMs[0]!) + this.#costMs;
      if (fullAt > nowMs + Math.max(BURST_MS, this.#costMs)) return "rate";
      this.#fullAtMs[bucket] = prefixFullAt;
      this.#fullAtMs[0] = fullAt;
      return null;
    } finally {
      unlock(this.#control);
    }
  }

  #prefixBucket(client: Address): number {
    const hash = isIPv4(client)
      ? this.#hash.of(0, 0, MAPPED, client.a3 >>> 8, 0)
      : this.#hash.of(client.a0, client.a1, 0, 0, 0);
    return hash & (PREFIX_BUCKETS - 1);
  }
}
