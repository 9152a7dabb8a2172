import type { Clock } from "../state/clock.ts";
import type { SharedTables } from "../state/shared.ts";
import type { Banner } from "./banner.ts";
import { ClientRate } from "./client-rate.ts";
import type { RuleSettings } from "./settings.ts";
import { UdpRules } from "./udp.ts";
import type { UdpVerdict } from "./udp-verdict.ts";

/** The rules of UDP as the settings want them: without a rate per client nothing is asked about one. */
export function makeUdpRules(
  settings: RuleSettings,
  tables: SharedTables,
  loop: number,
  clock: Clock,
  banner?: Banner,
): UdpRules {
  const Rules = settings.udpRatePerClient > 0 ? RatedUdpRules : UdpRules;
  return new Rules(settings, tables, loop, clock, banner);
}

/**
 * The rules with a rate per client address: whatever goes round without a banner to be known by goes round no faster
 * than that, and as each datagram dropped is one less on its way round, it dies.
 */
class RatedUdpRules extends UdpRules {
  readonly #rate: ClientRate;
  readonly #clock: Clock;

  constructor(settings: RuleSettings, tables: SharedTables, loop: number, clock: Clock, banner?: Banner) {
    super(settings, tables, loop, clock, banner);
    this.#rate = new ClientRate(settings.udpRatePerClient, tables);
    this.#clock = clock;
  }

  /** None is known without its client's rate being asked. */
  override known(_rows: Int32Array, from: number): number {
    return from;
  }

  override admit(
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    port: number,
    local: number,
    length: number,
  ): UdpVerdict {
    if (!this.isMarked(a0, a1, a2, a3, port) && !this.#rate.takes(a0, a1, a2, a3, this.#clock.nowMs)) {
      return this.dropUnseen("client_rate", length);
    }
    return super.admit(a0, a1, a2, a3, port, local, length);
  }
}
