import { type Address, isIPv4 } from "./address.ts";
import type { LoopSettings } from "./settings.ts";
import { lock, PREFIX_BUCKETS, type SharedTables, unlock } from "./shared.ts";

/** How much of the rate may be spent at once: a second's worth, so a burst of new clients gets its banners. */
const BURST_MS = 1000;

/**
 * The banner budget, for the whole server and for each source prefix (IPv4 /24, IPv6 /64), over all loops: a token
 * bucket kept as the time at which it would be full again (GCRA, ITU-T I.371), so a bucket is one number and needs
 * no refilling. Prefixes share a fixed number of buckets: memory stays bounded whatever addresses are forged, and
 * two prefixes that meet in a bucket share its budget.
 */
export class BannerBudget {
  readonly #control: Int32Array;
  readonly #fullAtMs: Float64Array;
  readonly #costMs: number;
  readonly #costPerPrefixMs: number;

  constructor(settings: LoopSettings, tables: SharedTables) {
    this.#control = new Int32Array(tables.control);
    this.#fullAtMs = new Float64Array(tables.bannerBudget);
    this.#costMs = 1000 / settings.udpBannerRate;
    this.#costPerPrefixMs = 1000 / settings.udpBannerRatePerPrefix;
  }

  /** Pays for one banner to `client`, or says which bucket is empty; then nothing is paid. */
  spend(client: Address, nowMs: number): "rate" | "prefix_rate" | null {
    const bucket = 1 + prefixBucket(client);
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
}

function prefixBucket(client: Address): number {
  const prefix = isIPv4(client) ? client.a3 >>> 8 : Math.imul(client.a0, 0x85ebca6b) ^ client.a1;
  const hash = Math.imul(prefix, 0x9e3779b1);
  return (hash ^ (hash >>> 15)) & (PREFIX_BUCKETS - 1);
}
