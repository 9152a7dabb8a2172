import type { MeshMember, MeshPair } from "../diagnose/mesh/result.ts";
import { type MeshView, stateOf } from "./mesh-view.ts";
import { counted, lossText, memberText, protocolsText, unresolvedText } from "./mesh-words.ts";

/** One thing worth knowing of a mesh, in words. */
export interface Finding {
  readonly kind: "down" | "unknown" | "lossy";
  readonly says: string;
}

/** Loss of a pair that is up and worth a line: over 1 %, as the alert has it. */
const LOSSY = 0.01;

/**
 * What a reader must know first: whether the list of members holds, then who is down, then who is unknown, then where
 * packets are lost; each thing once.
 */
export function meshFindings(view: MeshView): Finding[] {
  const pairs = view.rows.flatMap(({ cells }) => cells.flatMap((cell) => cell.pairs));
  const said = new Set<MeshPair>();
  const say = (pairsOfIt: readonly MeshPair[], says: string, kind: Finding["kind"]): Finding => {
    for (const pair of pairsOfIt) said.add(pair);
    return { kind, says };
  };
  const to = Map.groupBy(pairs, (pair) => pair.to);
  const from = Map.groupBy(pairs, (pair) => pair.from);
  return [
    ...unresolved(view),
    ...view.members.flatMap((member) => nobodyReaches(member, to.get(member.name) ?? [], say)),
    ...view.members.flatMap((member) => reachesNobody(member, from.get(member.name) ?? [], said, say)),
    ...downAlone(pairs, said),
    ...view.members.flatMap((member) => noAddress(member, to.get(member.name) ?? [], say)),
    ...view.members.flatMap((member) => noRow(member, from.get(member.name) ?? [], say)),
    ...view.members.flatMap((member) => notSeen(member, view, to.get(member.name) ?? [], said, say)),
    ...notMeasured(pairs, said),
    ...lossy(pairs),
  ];
}

/** How many pairs there are of each state. */
export function meshCounts(view: MeshView): { up: number; down: number; unknown: number } {
  const counts = { up: 0, down: 0, unknown: 0 };
  for (const { cells } of view.rows)
    for (const { pairs } of cells) for (const pair of pairs) counts[stateOf(pair)]++;
  return counts;
}

type Say = (pairs: readonly MeshPair[], says: string, kind: Finding["kind"]) => Finding;

function unresolved({ self, unresolved: why }: MeshView): Finding[] {
  return why === null ? [] : [{ kind: "unknown", says: unresolvedText(self, why) }];
}

/** By which protocols all that was measured is down. */
function allDown(pairs: readonly MeshPair[]): MeshPair[] {
  const measured = pairs.filter(({ up }) => up !== null);
  return measured.filter(({ protocol }) =>
    measured.every((other) => other.protocol !== protocol || other.up === false),
  );
}

function nobodyReaches(member: MeshMember, pairs: readonly MeshPair[], say: Say): Finding[] {
  const down = allDown(pairs);
  if (down.length === 0) return [];
  const askers = new Set(down.map(({ from }) => from)).size;
  const says = `Nobody reaches ${memberText(member)}${only(down, pairs)}: ${askers} of ${askers} that ask get no answer${why(down)}`;
  return [say(down, says, "down")];
}

function reachesNobody(
  member: MeshMember,
  pairs: readonly MeshPair[],
  said: ReadonlySet<MeshPair>,
  say: Say,
): Finding[] {
  const down = allDown(pairs);
  if (down.every((pair) => said.has(pair))) return [];
  const peers = new Set(down.map((pair) => pair.to)).size;
  const says = `${memberText(member)} reaches nobody${only(down, pairs)}: ${peers} of ${peers} that it asks do not answer${why(down)}`;
  return [say(down, says, "down")];
}

function downAlone(pairs: readonly MeshPair[], said: ReadonlySet<MeshPair>): Finding[] {
  const down = pairs.filter((pair) => pair.up === false && !said.has(pair));
  const cells = Map.groupBy(down, (pair) => `${memberOf(pair, "from")} to ${memberOf(pair, "to")}`);
  return [...cells].map(([ends, both]) => ({
    kind: "down",
    says: `${ends}: ${protocolsText(both.map(({ protocol }) => protocol))} down${why(both)}`,
  }));
}

function noAddress(member: MeshMember, pairs: readonly MeshPair[], say: Say): Finding[] {
  if (member.address !== null) return [];
  const unknown = pairs.filter(({ up }) => up === null);
  return [say(unknown, `${memberText(member)} has no address: whether it is up is unknown`, "unknown")];
}

function noRow(member: MeshMember, pairs: readonly MeshPair[], say: Say): Finding[] {
  if (member.row !== false) return [];
  const unknown = pairs.filter(({ up }) => up === null);
  return [say(unknown, `${memberText(member)} did not tell its row: whom it reaches is unknown`, "unknown")];
}

/** A member that has an address, and of which no measurement is known. */
function notSeen(
  member: MeshMember,
  { members }: MeshView,
  pairs: readonly MeshPair[],
  said: ReadonlySet<MeshPair>,
  say: Say,
): Finding[] {
  if (member.address === null || members.length < 2 || pairs.some(({ up }) => up !== null)) return [];
  const says = `${memberText(member)}: nobody's measurement of it is known${why(pairs.filter((pair) => !said.has(pair)))}`;
  return [say(pairs, says, "unknown")];
}

function notMeasured(pairs: readonly MeshPair[], said: ReadonlySet<MeshPair>): Finding[] {
  const unknown = pairs.filter((pair) => pair.up === null && !said.has(pair));
  if (unknown.length === 0) return [];
  const first = unknown[0]!;
  const example = `${first.protocol.toUpperCase()} from ${memberOf(first, "from")} to ${memberOf(first, "to")}`;
  const says = `${counted(unknown.length, "pair")} unknown: ${example}${unknown.length === 1 ? "" : " and others"}${why([first])}`;
  return [{ kind: "unknown", says }];
}

function lossy(pairs: readonly MeshPair[]): Finding[] {
  const share = ({ lost, sent }: MeshPair): number => (sent === 0 ? 0 : lost / sent);
  const [worst, ...others] = pairs
    .filter((pair) => pair.up === true && share(pair) > LOSSY)
    .toSorted((a, b) => share(b) - share(a));
  if (worst === undefined) return [];
  const { lost, sent } = worst;
  const how = `${lossText(lost, sent)} lost (${lost} of ${sent})`;
  const says = `${memberOf(worst, "from")} to ${memberOf(worst, "to")}: ${worst.protocol.toUpperCase()} up, ${how}`;
  const more = others.length === 0 ? "" : `; ${counted(others.length, "other pair")} over 1 %`;
  return [{ kind: "lossy", says: says + more }];
}

/** ` over UDP`, where other protocols are not down as well. */
function only(down: readonly MeshPair[], all: readonly MeshPair[]): string {
  const protocols = [...new Set(down.map(({ protocol }) => protocol))].sort();
  const asked = new Set(all.map(({ protocol }) => protocol));
  return protocols.length === asked.size ? "" : ` over ${protocolsText(protocols)}`;
}

function why(pairs: readonly MeshPair[]): string {
  const first = pairs.find((pair) => pair.why !== null)?.why;
  return first === undefined || first === null ? "" : ` (${first})`;
}

function memberOf(pair: MeshPair, end: "from" | "to"): string {
  return memberText({ name: pair[end], node: pair[`${end}Node`] });
}
