import type { BookChange } from "../../diagnose/mesh/book.ts";
import type { MeshKnowledge } from "../../diagnose/mesh/knowledge.ts";
import type { MeshMember } from "../../diagnose/mesh/result.ts";
import { isoOf } from "../../diagnose/mesh/row.ts";
import type { Roster } from "../../diagnose/mesh/seen.ts";
import type { Logger } from "../../log.ts";

/** What a person wants to read in `kubectl logs` of a prober: changes, each once, with who and why. */

/** Members that are named in a line; of more it is said how many. */
const NAMED_MAX = 10;

/**
 * Tells whose row did not come, and whose comes again, once each.
 * @param missed whose did not come the last time, by address
 * @returns whose did not come now
 */
export function tellRows(
  log: Logger,
  members: readonly MeshMember[],
  missed: ReadonlySet<string>,
): Set<string> {
  const isMissed = ({ address }: MeshMember): boolean => address !== null && missed.has(address);
  const missing = members.filter(({ address, row }) => address !== null && row === false);
  const told = members.filter(({ row }) => row === true);
  tellEach(
    missing.filter((member) => !isMissed(member)),
    (about) => log.warn(about, "row unknown: its prober did not tell it"),
    (about) => log.warn(about, "rows unknown: their probers did not tell them"),
  );
  tellEach(
    told.filter(isMissed),
    (about) => log.info(about, "row known again"),
    (about) => log.info(about, "rows known again"),
  );
  return new Set(missing.map(({ address }) => address!));
}

/** A line for each, but one for all where they are many. */
function tellEach(
  members: readonly MeshMember[],
  one: (about: object) => void,
  all: (about: object) => void,
): void {
  if (members.length > NAMED_MAX) {
    all({ count: members.length, names: some(members.map(({ name }) => name)) });
    return;
  }
  for (const { name, node, address } of members) one({ name, node, address });
}

/** @param known as it is after the change */
export function tellChange(log: Logger, known: MeshKnowledge, change: BookChange, nowMs: number): void {
  if (change.kind === "roster") tellRoster(log, known, change.before, change.after);
  else tellPair(log, known, change, nowMs);
}

function tellPair(
  log: Logger,
  { names }: MeshKnowledge,
  { to: address, pair, change }: Extract<BookChange, { kind: "pair" }>,
  nowMs: number,
): void {
  const { name: to, node: toNode } = names.byAddress.get(address)!; // a peer is of the roster
  const about = { to, toNode, address, protocol: pair.protocol };
  const since = isoOf(pair.sinceWallMs);
  const lastedMs = Math.round(change.lastedMs);
  if (pair.up === false) log.warn({ ...about, since, why: pair.why(nowMs) }, "down");
  else if (pair.up === null) log.warn({ ...about, since, why: pair.why(nowMs) }, "unknown");
  else if (change.before === false) log.info({ ...about, downMs: lastedMs }, "up again");
  else if (change.isFirst) log.debug({ ...about, unknownMs: lastedMs }, "up");
  else log.info({ ...about, unknownMs: lastedMs }, "up again");
}

function tellRoster(log: Logger, { names, book }: MeshKnowledge, before: Roster, after: Roster): void {
  const textOf = (address: string): string => {
    const name = names.byAddress.get(address)?.name ?? address;
    return name === address ? address : `${name} (${address})`;
  };
  const came = after.addresses.filter((address) => !before.addresses.includes(address)).map(textOf);
  const gone = before.addresses.filter((address) => !after.addresses.includes(address));
  if (came.length > 0 || gone.length > 0) {
    const counts = { members: after.addresses.length, peers: book.pairs.size };
    log.info({ ...counts, came: some(came), gone: some(gone) }, "members changed");
  }
  if (after.own !== before.own) {
    if (after.own === null)
      log.warn("own address unknown: none of this machine's is a member's; nobody is asked");
    else log.info({ address: after.own }, "own address found");
  }
  if (after.unresolved !== before.unresolved) {
    if (after.unresolved === null) log.info("name resolved again");
    else log.warn({ why: after.unresolved }, "name not resolved");
  }
  if (after.beyond > before.beyond)
    log.warn({ leftOut: after.beyond }, "more members than --max-members: some are left out");
  tellNamed(log, before, after);
}

function tellNamed(log: Logger, before: Roster, after: Roster): void {
  if (after.named.every(({ address }) => address === null)) return; // this fleet has no such members
  for (const { name, address } of after.named) {
    const was = before.named.find((member) => member.name === name)?.address;
    if (address === null && was !== null) log.warn({ name }, "member without an address: unknown");
    if (address !== null && was === null) log.info({ name, address }, "member has an address again");
  }
}

function some(names: readonly string[]): readonly string[] {
  if (names.length <= NAMED_MAX) return names;
  return [...names.slice(0, NAMED_MAX), `and ${names.length - NAMED_MAX} more`];
}
