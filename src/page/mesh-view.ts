import type { MeshMember, MeshPair, MeshResult } from "../diagnose/mesh/result.ts";

/** A pair is one of these; one that is not assigned is none. */
export type PairState = "up" | "down" | "unknown";

/** One who asks and one who is asked. */
export interface MeshCell {
  readonly from: MeshMember;
  readonly to: MeshMember;
  /** What is known of it, one for each protocol, TCP first. */
  readonly pairs: readonly MeshPair[];
  /** Why a cell without pairs is what it is. Unknown: whether anybody is assigned here cannot be seen. */
  readonly empty: "itself" | "not assigned" | "no address" | "no row";
}

/** The result as a table: rows ask, columns are asked, both in the order of the ring. */
export interface MeshView {
  /** Who put it together. */
  readonly self: string;
  /** Why that one does not know whether these are all; null where it does. */
  readonly unresolved: string | null;
  readonly members: readonly MeshMember[];
  readonly rows: readonly { readonly from: MeshMember; readonly cells: readonly MeshCell[] }[];
}

export function stateOf({ up }: MeshPair): PairState {
  return up === null ? "unknown" : up ? "up" : "down";
}

export function meshView(mesh: MeshResult): MeshView {
  const members = membersOf(mesh);
  const pairs = new Map<string, MeshPair[]>();
  for (const pair of mesh.pairs) {
    const key = cellKey(pair.from, pair.to);
    const known = pairs.get(key);
    if (known === undefined) pairs.set(key, [pair]);
    else known.push(pair);
  }
  const rows = members.map((from) => {
    const cells = members.map((to): MeshCell => {
      const both = pairs.get(cellKey(from.name, to.name)) ?? [];
      return { from, to, pairs: both.toSorted(byProtocol), empty: whyEmpty(from, to) };
    });
    return { from, cells };
  });
  const { self, unresolved } = mesh;
  return { self, unresolved, members, rows };
}

/** Names hold no `>`. */
export function cellKey(from: string, to: string): string {
  return `${from}>${to}`;
}

/** All members, and whoever is in a pair without being listed: nothing that was measured is left out. */
function membersOf({ members, pairs }: MeshResult): MeshMember[] {
  const all = new Map(members.map((member) => [member.name, member]));
  const add = (name: string, node: string | null): void => {
    if (!all.has(name)) all.set(name, { name, node, address: "", row: null });
  };
  for (const { from, fromNode, to, toNode } of pairs) {
    add(from, fromNode);
    add(to, toNode);
  }
  return [...all.values()];
}

function byProtocol(a: MeshPair, b: MeshPair): number {
  return a.protocol < b.protocol ? -1 : 1;
}

function whyEmpty(from: MeshMember, to: MeshMember): MeshCell["empty"] {
  if (from.name === to.name) return "itself";
  if (to.address === null) return "no address";
  return from.row === true ? "not assigned" : "no row";
}
