import { sameAddress } from "../../net/address.ts";
import { endpointOf, parseEndpoint } from "../../net/endpoint.ts";
import { listText } from "../words.ts";
import type { Cell, Way } from "./cell.ts";
import type { Fleet, Member } from "./members.ts";
import { wayText } from "./words.ts";

/** Ways that mean one member and no other. */
const MEANS_ONE: readonly Way[] = ["pod", "name", "self"];

/**
 * Echoes that came right, from another member than was asked: a stale address in DNS, a Service that points elsewhere. Known
 * by the address in the banner, and said of members alone: what stands before a server may have an address of its own.
 */
export function mistakenNotes(cells: readonly Cell[], { members }: Fleet): string[] {
  const asked = new Map<string, Set<string>>();
  for (const cell of cells) {
    for (const other of othersIn(cell, members)) {
      const whom = cell.way === "self" ? "itself" : cell.to;
      const key = `asked for ${whom} ${wayText(cell.way)}, ${other} answered`;
      asked.set(key, (asked.get(key) ?? new Set()).add(cell.from));
    }
  }
  return [...asked].map(([what, from]) => `${what}: seen from ${listText([...from])}`);
}

/** Names of members that answered in place of the one who was asked. */
function othersIn({ way, to, result }: Cell, members: readonly Member[]): string[] {
  if (!MEANS_ONE.includes(way)) return [];
  return (result?.servers ?? []).flatMap(({ server }) => {
    const owner = server === null ? undefined : members.find((member) => hasAddress(member, server));
    return owner === undefined || owner.name === to ? [] : [owner.name];
  });
}

function hasAddress({ addresses }: Member, server: string): boolean {
  const end = parseEndpoint(server);
  return addresses.some((text) => {
    const own = endpointOf(text, 0);
    return end !== null && own !== null && sameAddress(end.address, own.address);
  });
}
