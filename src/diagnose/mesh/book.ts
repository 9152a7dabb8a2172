import { type MeshProtocol, type Now, type Pace, Pair, type PairChange } from "./pair.ts";
import type { MeshEvent, ProbeSeen, Roster } from "./seen.ts";

/** What there is to know of the fleet before anything was resolved. */
const NO_ROSTER: Roster = { addresses: [], own: null, named: [], beyond: 0, unresolved: null };

/** What a book is kept of. */
export interface BookSettings extends Pace {
  readonly protocols: readonly MeshProtocol[];
  /** The peers that the ring assigns to `own`. */
  peersOf(addresses: readonly string[], own: string): readonly string[];
}

/** What has changed, for those who tell of it. */
export type BookChange =
  | { readonly kind: "pair"; readonly to: string; readonly pair: Pair; readonly change: PairChange }
  | { readonly kind: "roster"; readonly before: Roster; readonly after: Roster };

/** The peers of this member, by address. */
export type Pairs = ReadonlyMap<string, readonly Pair[]>;

/**
 * Who the members are, and this one's pairs: fed by what the asking thread tells. Pure: the time is handed in. A peer
 * that is no longer assigned vanishes with all that was counted of it; one that comes back begins anew.
 */
export class MeshBook {
  readonly #settings: BookSettings;
  readonly #pairs = new Map<string, readonly Pair[]>();
  roster: Roster = NO_ROSTER;

  constructor(settings: BookSettings) {
    this.#settings = settings;
  }

  get pairs(): Pairs {
    return this.#pairs;
  }

  /** Books an event. A probe of one who is no peer (any more) is no news. */
  take(event: MeshEvent, now: Now): BookChange[] {
    return "roster" in event ? this.#takeRoster(event.roster, now) : this.#takeProbe(event.probe, now);
  }

  /** To be called now and then: what was not measured for long is unknown. */
  settle(now: Now): BookChange[] {
    return [...this.#pairs].flatMap(([to, pairs]) =>
      pairs.flatMap((pair) => changeOf(to, pair, pair.settle(now))),
    );
  }

  /** Another Pod has this address now: what was counted is not its own. */
  renew(address: string, now: Now): void {
    if (this.#pairs.has(address)) this.#pairs.set(address, this.#newPairs(now));
  }

  #takeRoster(roster: Roster, now: Now): BookChange[] {
    const before = this.roster;
    this.roster = roster;
    const { addresses, own } = roster;
    const peers = new Set(own === null ? [] : this.#settings.peersOf(addresses, own));
    for (const address of [...this.#pairs.keys()]) {
      if (!peers.has(address)) this.#pairs.delete(address);
    }
    for (const address of peers) {
      if (!this.#pairs.has(address)) this.#pairs.set(address, this.#newPairs(now));
    }
    return [{ kind: "roster", before, after: roster }];
  }

  #takeProbe(seen: ProbeSeen, now: Now): BookChange[] {
    const protocol = seen.probe === "udp" ? "udp" : "tcp";
    const pair = this.#pairs.get(seen.peer)?.find((each) => each.protocol === protocol);
    return pair === undefined ? [] : changeOf(seen.peer, pair, pair.take(seen, now));
  }

  #newPairs(now: Now): Pair[] {
    return this.#settings.protocols.map((protocol) => new Pair(protocol, this.#settings, now));
  }
}

function changeOf(to: string, pair: Pair, change: PairChange | null): BookChange[] {
  return change === null ? [] : [{ kind: "pair", to, pair, change }];
}
