import type { MeshBook } from "./book.ts";
import { NO_FIGURES } from "./last-minute.ts";
import type { MemberNames, Named } from "./names.ts";
import type { MeshProtocol, Now, Pair } from "./pair.ts";
import type { MeshMember, MeshPair, MeshResult } from "./result.ts";

/** This member's own row: what `/mesh.json` says. */

export interface RowFacts {
  readonly book: MeshBook;
  readonly names: MemberNames;
  readonly self: Named;
  readonly protocols: readonly MeshProtocol[];
  readonly intervalMs: number;
}

/** Members as the roster has them, then those that are missing; of the own row alone it is known whether it is there. */
export function ownRow(facts: RowFacts, now: Now): MeshResult {
  const { book, names, self, intervalMs } = facts;
  const { addresses, own } = book.roster;
  const members = addresses.map((address): MeshMember => {
    const { name, node } = names.byAddress.get(address)!; // it names every address
    return { name, node, address, row: address === own ? true : null };
  });
  // Without an address of its own it is asked by nobody, and still answers here.
  if (own === null) members.unshift({ ...self, address: null, row: true });
  const missing = names.missing.map(({ name }) => ({ name, node: null, address: null, row: null }));
  return {
    version: 1,
    at: isoOf(now.wallMs),
    self: self.name,
    intervalMs,
    unresolved: book.roster.unresolved,
    members: [...members, ...missing],
    pairs: [...measured(facts, now), ...unmeasurable(facts)],
  };
}

/** A pair of which nothing is known. @param since ISO 8601, or null */
export function unknownPair(
  from: Named,
  to: Named,
  protocol: MeshProtocol,
  why: string,
  since: string | null,
): MeshPair {
  return {
    from: from.name,
    to: to.name,
    fromNode: from.node,
    toNode: to.node,
    protocol,
    up: null,
    hops: null,
    ...NO_FIGURES,
    since,
    why,
  };
}

export function isoOf(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

function measured({ book, names, self }: RowFacts, now: Now): MeshPair[] {
  return [...book.pairs].flatMap(([address, pairs]) => {
    const to = names.byAddress.get(address)!; // peers are of the roster
    return pairs.map((pair) => pairFacts(self, to, pair, now));
  });
}

function pairFacts(self: Named, to: Named, pair: Pair, now: Now): MeshPair {
  return {
    from: self.name,
    to: to.name,
    fromNode: self.node,
    toNode: to.node,
    protocol: pair.protocol,
    up: pair.up,
    hops: pair.hops,
    ...pair.figures(now.ms),
    since: isoOf(pair.sinceWallMs),
    why: pair.why(now.ms),
  };
}

/** Whoever has no address is assigned to nobody: each member says of it that it is unknown. */
function unmeasurable({ names, self, protocols }: RowFacts): MeshPair[] {
  return names.missing.flatMap(({ name, why }) =>
    protocols.map((protocol) => unknownPair(self, { name, node: null }, protocol, why, null)),
  );
}
