import type { Roster } from "./seen.ts";

/** A member's name and node. */
export interface Named {
  readonly name: string;
  readonly node: string | null;
}

/** What everybody is called: each name is one member's alone. */
export interface MemberNames {
  /** Of every address of the roster. */
  readonly byAddress: ReadonlyMap<string, Named>;
  /** Names that must have an address and have none, or one that the fleet's own name has not: as they are shown. */
  readonly missing: readonly MissingMember[];
}

/** A member by name that nobody can ask. */
export interface MissingMember {
  readonly name: string;
  /** In words. */
  readonly why: string;
}

/**
 * A Pod's or node's name as Kubernetes has them (RFC 1123), with the capitals and underscores that hosts' names may have.
 * What a peer says of itself stands in labels, JSON and HTML: nothing else is taken.
 */
export const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

/**
 * Names everybody: as the member's own prober has told, else by its name in DNS, else by its address. Who claims a name
 * that is another's (this member's own, or one that must be there) is told apart by its address, and so are all who claim
 * the same one: `server1@10.0.0.7`. No name that a member may tell of itself has an `@`.
 * @param told by address
 */
export function nameMembers(roster: Roster, self: Named, told: ReadonlyMap<string, Named>): MemberNames {
  const inDns = new Map(roster.named.toReversed().map(({ name, address }) => [address, name]));
  const claims = roster.addresses.map((address): [string, Named] => {
    if (address === roster.own) return [address, self];
    const name = inDns.get(address) ?? address;
    return [address, told.get(address) ?? { name, node: null }];
  });
  const missing = missingOf(roster);
  const owned = new Set([self.name, ...missing.map(({ name }) => name)]);
  const claimed = new Map<string, number>();
  for (const [, { name }] of claims) claimed.set(name, (claimed.get(name) ?? 0) + 1);
  const byAddress = new Map(
    claims.map(([address, { name, node }]): [string, Named] => {
      const isOwn = address === roster.own;
      const isAlone = claimed.get(name) === 1 && !owned.has(name);
      return [address, { name: isOwn || isAlone ? name : `${name}@${address}`, node }];
    }),
  );
  return {
    byAddress,
    missing: missing.map((member) =>
      member.name === self.name ? { ...member, name: `${member.name}@no-address` } : member,
    ),
  };
}

/** Where none of the names has an address, this fleet has no such members. */
function missingOf({ named, addresses, own }: Roster): MissingMember[] {
  if (named.every(({ address }) => address === null)) return [];
  const present = new Set([...addresses, own]);
  return named.flatMap(({ name, address }) => {
    if (address === null) return [{ name, why: "its name has no address" }];
    return present.has(address)
      ? []
      : [{ name, why: `its name has ${address}, which the name of all members has not` }];
  });
}
