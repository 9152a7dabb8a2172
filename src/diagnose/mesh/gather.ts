import type { Named } from "./names.ts";
import type { MeshProtocol, Now } from "./pair.ts";
import type { MeshMember, MeshPair, MeshResult } from "./result.ts";
import { isoOf, ownRow, type RowFacts, unknownPair } from "./row.ts";
import type { ToldPair, ToldRow } from "./told-row.ts";

/** All rows as one: what `/mesh.json?scope=all` says. */

/** A row that did not come. */
export interface MissingRow {
  /** In words. */
  readonly why: string;
  /** Since when none came, ms since 1970. */
  readonly sinceWallMs: number;
}

export interface GatherFacts extends RowFacts {
  /** By address, of each member but this one. */
  readonly rows: ReadonlyMap<string, ToldRow | MissingRow>;
  readonly degree: number;
}

/**
 * Whom the ring assigns to each member, `peersOf` of all at once: a roster has its addresses in the order of the ring, so
 * these are the next ones.
 */
export function assignedTo(
  addresses: readonly string[],
  degree: number,
): ReadonlyMap<string, readonly string[]> {
  const twice = [...addresses, ...addresses];
  const peers = Math.min(degree, addresses.length - 1);
  return new Map(addresses.map((address, at) => [address, twice.slice(at + 1, at + 1 + peers)]));
}

/**
 * The matrix. Whatever was assigned and is not known is there as unknown: pairs of a row that did not come, and those
 * that a row should have and has not. Names are those that this member knows: each row's own are translated by address.
 */
export function gather(facts: GatherFacts, now: Now): MeshResult {
  const own = ownRow(facts, now);
  const { roster } = facts.book;
  const others = roster.addresses.filter((address) => address !== roster.own);
  const assigned = assignedTo(roster.addresses, facts.degree);
  const isThere = (address: string | null): boolean => {
    const row = address === null ? undefined : facts.rows.get(address);
    return row !== undefined && "self" in row;
  };
  return {
    ...own,
    members: own.members.map(
      (member): MeshMember => (member.row === true ? member : { ...member, row: isThere(member.address) }),
    ),
    pairs: [
      ...own.pairs,
      ...others.flatMap((address) => rowOf(facts, address, assigned.get(address)!)),
      ...facts.names.missing.flatMap((member) => rowOfMissing(facts, own.members, member)),
    ],
  };
}

/** The pairs of one member: those that it told, and those that it was assigned and did not tell. */
function rowOf(facts: GatherFacts, address: string, peers: readonly string[]): MeshPair[] {
  const from = facts.names.byAddress.get(address)!; // it is of the roster
  const row = facts.rows.get(address) ?? { why: "its prober has not answered yet", sinceWallMs: null };
  const told = "self" in row ? toldPairs(facts, from, row) : [];
  const known = new Set(told.map(({ to, protocol }) => keyOf(to, protocol)));
  const why =
    "self" in row
      ? `${from.name} does not ask it: it knows of other members`
      : `its row did not come: ${row.why}`;
  const since = "self" in row || row.sinceWallMs === null ? null : isoOf(row.sinceWallMs);
  const missing = peers.flatMap((peer) => {
    const to = facts.names.byAddress.get(peer)!; // it is of the roster
    return facts.protocols
      .filter((protocol) => !known.has(keyOf(to.name, protocol)))
      .map((protocol) => unknownPair(from, to, protocol, why, since));
  });
  return [...told, ...missing];
}

/** What a member told, with the names that are known here; of members that are not known here, nothing. Each pair once. */
function toldPairs({ names }: GatherFacts, from: Named, { pairs, addresses }: ToldRow): MeshPair[] {
  const missing = new Map(names.missing.map(({ name }) => [name, { name, node: null }]));
  const translated = new Map<string, MeshPair>();
  for (const pair of pairs) {
    const address = addresses.get(pair.to);
    const to = typeof address === "string" ? names.byAddress.get(address) : missing.get(pair.to);
    if (to === undefined || to === from) continue;
    translated.set(keyOf(to.name, pair.protocol), named(pair, from, to));
  }
  return [...translated.values()];
}

function named(pair: ToldPair, from: Named, to: Named): MeshPair {
  return { ...pair, from: from.name, to: to.name, fromNode: from.node, toNode: to.node };
}

/**
 * The row of a member without an address. The ring has no place for it; but where everybody asks everybody, it would.
 */
function rowOfMissing(
  { protocols, degree }: GatherFacts,
  members: readonly MeshMember[],
  { name, why }: { readonly name: string; readonly why: string },
): MeshPair[] {
  if (members.length - 1 > degree) return [];
  return members
    .filter((to) => to.name !== name)
    .flatMap((to) => protocols.map((protocol) => unknownPair({ name, node: null }, to, protocol, why, null)));
}

function keyOf(to: string, protocol: MeshProtocol): string {
  return `${protocol} ${to}`;
}
