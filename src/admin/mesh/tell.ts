import type { BookChange } from "../../diagnose/mesh/book.ts";
import type { MeshKnowledge } from "../../diagnose/mesh/knowledge.ts";
import type { MemberNames } from "../../diagnose/mesh/names.ts";
import type { MeshProtocol } from "../../diagnose/mesh/pair.ts";
import type { MeshMember } from "../../diagnose/mesh/result.ts";
import { isoOf } from "../../diagnose/mesh/row.ts";
import type { MeshQuestion, Roster } from "../../diagnose/mesh/seen.ts";
import type { Logger } from "../../log.ts";
import { endpointOf, formatEndpoint } from "../../net/endpoint.ts";

/** What a person wants to read in `kubectl logs` of a prober: changes, each once, with who and why. */

/** Members that are named in a line; of more it is said how many. */
const NAMED_MAX = 10;

/**
 * Tells whose row did not come, and whose comes again, once each.
 * @param missed whose did not come the last time, by address
 * @param whyOf why a member's row did not come, by its address; null where that is not known
 * @returns whose did not come now
 */
export function tellRows(
  log: Logger,
  members: readonly MeshMember[],
  missed: ReadonlySet<string>,
  whyOf: (address: string) => string | null,
): Set<string> {
  const isMissed = ({ address }: MeshMember): boolean => address !== null && missed.has(address);
  const missing = members.filter(({ address, row }) => address !== null && row === false);
  const told = members.filter(({ row }) => row === true);
  tellEach(
    missing.filter((member) => !isMissed(member)),
    (about) => log.warn({ ...about, why: whyOf(about.address) }, "row unknown: its prober did not tell it"),
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
  one: (about: { readonly address: string }) => void,
  all: (about: object) => void,
): void {
  if (members.length > NAMED_MAX) {
    all({ count: members.length, names: some(members.map(({ name }) => name)) });
    return;
  }
  for (const { name, node, address } of members) one({ ...{ name, node }, address: address! });
}

/** What changes are told by. */
export interface Telling {
  readonly log: Logger;
  /** As it is after the change. */
  readonly known: MeshKnowledge;
  /** What everybody was called before it: whoever has gone has no name any more. */
  readonly namesBefore: MemberNames;
  readonly question: Pick<MeshQuestion, "tcpPort" | "udpPort">;
}

export function tellChange(telling: Telling, change: BookChange, nowMs: number): void {
  if (change.kind === "roster") tellRoster(telling, change.before, change.after);
  else tellPair(telling, change, nowMs);
}

function tellPair(
  { log, known: { names }, question }: Telling,
  { to: address, pair, change }: Extract<BookChange, { kind: "pair" }>,
  nowMs: number,
): void {
  const { name: to, node: toNode } = names.byAddress.get(address)!; // a peer is of the roster
  const about = { to, toNode, address, protocol: pair.protocol };
  const since = isoOf(pair.sinceWallMs);
  const lastedMs = Math.round(change.lastedMs);
  if (pair.up === false) {
    const next = nextCommand(address, pair.protocol, question);
    log.warn({ ...about, since, why: pair.why(nowMs), next }, "down");
  } else if (pair.up === null) log.warn({ ...about, since, why: pair.why(nowMs) }, "unknown");
  else if (change.before === false) log.info({ ...about, downMs: lastedMs }, "up again");
  else if (change.isFirst) log.debug({ ...about, unknownMs: lastedMs }, "up");
  else log.info({ ...about, unknownMs: lastedMs }, "up again");
}

/** What says more, where it is run beside this prober: in the same container. */
function nextCommand(address: string, protocol: MeshProtocol, question: Telling["question"]): string {
  const end = endpointOf(address, question[`${protocol}Port`]!)!; // it was asked there
  return `echo-server check ${protocol}://${formatEndpoint(end)}`;
}

function tellRoster(
  { log, known: { names, book }, namesBefore }: Telling,
  before: Roster,
  after: Roster,
): void {
  const textIn =
    ({ byAddress }: MemberNames) =>
    (address: string): string => {
      const name = byAddress.get(address)?.name ?? address;
      return name === address ? address : `${name} (${address})`;
    };
  const came = after.addresses.filter((address) => !before.addresses.includes(address)).map(textIn(names));
  const gone = before.addresses
    .filter((address) => !after.addresses.includes(address))
    .map(textIn(namesBefore));
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
