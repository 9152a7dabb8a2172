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
 * Names everybody: as the member's own prober has told, else by its name in DNS, else by its address. A name that is
 * somebody's stays so (this member's own, those in DNS, an address; then whoever told it first): whoever else claims it is
 * told apart by its address, `server1@10.0.0.7`, and changes nobody else's name. No name that a member may tell of itself
 * has an `@`.
 * @param told by address, in the order in which they were told
 */
export function nameMembers(roster: Roster, self: Named, told: ReadonlyMap<string, Named>): MemberNames {
  const { addresses, own, named } = roster;
  const missing = missingOf(roster);
  const inDns = new Map(named.toReversed().map(({ name, address }) => [address, name]));
  const toldHere = [...told].filter(([address]) => addresses.includes(address));
  const owners = ownersOf([
    [self.name, own],
    ...missing.map(({ name }) => [name, null] as const),
    ...named.map(({ name, address }) => [name, address] as const),
    ...addresses.map((address) => [address, address] as const),
    ...toldHere.map(([address, { name }]) => [name, address] as const),
  ]);
  const byAddress = addresses.map((address): [string, Named] => {
    if (address === own) return [address, self];
    const { name, node } = told.get(address) ?? { name: inDns.get(address) ?? address, node: null };
    return [address, { name: owners.get(name) === address ? name : `${name}@${address}`, node }];
  });
  const apart = (name: string): string => (name === self.name ? `${name}@no-address` : name);
  return {
    byAddress: new Map(byAddress),
    missing: missing.map(({ name, why }) => ({ name: apart(name), why })),
  };
}

/** Whose each name is: the first one's. */
function ownersOf(claims: readonly (readonly [string, string | null])[]): ReadonlyMap<string, string | null> {
  return new Map(claims.toReversed());
}

/** Where none of the names has an address, this fleet has no such members. */
function missingOf({ named, addresses, own }: Roster): MissingMember[] {
  if (named.every(({ address }) => address === null)) return [];
  const present = new Set([...addresses, own]);
  return named.flatMap(({ name, address }) => {
    if (address === null) return [{ name, why: "its name has no address" }];
    return present.has(address)
      ? []
      : [
          {
            name,
            why: `its name has ${address}, which the name of all members has not, or --max-members leaves out`,
          },
        ];
  });
}
