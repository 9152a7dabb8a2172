import { type Address, isIPv4 } from "../net/address.ts";
import type { Clock } from "../state/clock.ts";
import { BANNER_SUPPRESSIONS, type BannerSuppression, COUNTER } from "../state/counters.ts";
import type { SharedTables } from "../state/shared.ts";
import type { Banner } from "./banner.ts";
import { BannerBudget } from "./budget.ts";
import type { Reflectors } from "./reflectors.ts";
import type { RuleSettings } from "./settings.ts";

/** IP and UDP header bytes of a datagram (RFC 791, RFC 8200, RFC 768). */
const IPV4_HEADER_BYTES = 28;
const IPV6_HEADER_BYTES = 48;

/** Decides which UDP sessions get a banner, and writes it. */
export class UdpBanners {
  readonly #banner: Banner;
  readonly #counters: Float64Array;
  readonly #clock: Clock;
  readonly #amplificationMax: number;
  readonly #budget: BannerBudget;
  readonly #reflectors: Reflectors | null;

  /** @param reflectors is told of each banner; null where there are no banners */
  constructor(
    banner: Banner,
    settings: RuleSettings,
    tables: SharedTables,
    counters: Float64Array,
    clock: Clock,
    reflectors: Reflectors | null,
  ) {
    this.#banner = banner;
    this.#counters = counters;
    this.#clock = clock;
    this.#amplificationMax = settings.udpAmplificationMax;
    this.#budget = new BannerBudget(settings, tables);
    this.#reflectors = reflectors;
  }

  /** The latest banner, from 0 on. The next `grant` or `rewrite` overwrites it. */
  get bytes(): Uint8Array {
    return this.#banner.bytes;
  }

  /**
   * Writes the banner of a session whose first datagram had `length` bytes. Returns the banner's length in `bytes`; 0
   * where banners are off, the budget is spent, or the banner would make the answer too large for the question.
   */
  grant(server: Address, serverPort: number, client: Address, clientPort: number, length: number): number {
    if (this.#reflectors === null) return 0;
    const bannerLength = this.#banner.write(server, serverPort, client, clientPort);
    const headers = isIPv4(client) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    const out = headers + bannerLength + headers + length;
    if (out > this.#amplificationMax * (headers + length)) return this.#suppress("amplification");
    const emptyBucket = this.#budget.spend(client, this.#clock.nowMs);
    if (emptyBucket !== null) return this.#suppress(emptyBucket);
    this.#reflectors.sent.add(this.bytes, bannerLength);
    return bannerLength;
  }

  /** Writes a banner again that was granted before and could not be sent then. Returns its length in `bytes`. */
  rewrite(server: Address, serverPort: number, client: Address, clientPort: number): number {
    const length = this.#banner.write(server, serverPort, client, clientPort);
    this.#reflectors?.sent.add(this.bytes, length); // its date may be another by now
    return length;
  }

  #suppress(reason: BannerSuppression): number {
    this.#counters[COUNTER.udpBannersSuppressed + BANNER_SUPPRESSIONS.indexOf(reason)]! += 1;
    return 0;
  }
}
