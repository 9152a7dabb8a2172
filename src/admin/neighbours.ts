import { type Endpoint, endpointOf } from "../net/endpoint.ts";
import type { NamedPort } from "../options/kinds.ts";
import type { ContainerFacts, FleetFacts, SelfFacts, ToldClients } from "../page/facts.ts";
import { dialable } from "./dialable.ts";
import type { FleetMember } from "./fleet.ts";
import { httpGet, NoAnswer } from "./http-get.ts";
import { CLIENTS_PATH, SELF_PATH } from "./page-paths.ts";

/** What others say of themselves: the containers of this Pod, the members of the fleet. Nobody is believed unchecked. */

const ASK = { timeoutMs: 1000, bytesMax: 16_384 };

/** As many clients as a server may keep, of both protocols. */
const ASK_CLIENTS = { timeoutMs: 1000, bytesMax: 131_072 };

/** Members asked at a time, since each takes a descriptor, and in all; those beyond did not say. */
const AT_ONCE = 16;
const ASKED_MAX = 64;

/** When nobody further is asked: where so many do not answer, waiting longer tells nothing. */
const ROUND_MS = 2000;

/** Asks the admin port there who it is and how. Null: no answer in time, or none that is one. */
async function askSelf(endpoint: Endpoint): Promise<SelfFacts | null> {
  const got = await httpGet(endpoint, SELF_PATH, ASK);
  if (got instanceof NoAnswer || got.status !== 200) return null;
  const { readSelf } = await import("./said.ts");
  return readSelf(got.body);
}

/**
 * The containers of this Pod, in the order they were named in.
 * @param own where this container's admin listens: the others are taken to listen alike, on ports of their own
 */
export async function containersOfPod(
  ports: readonly NamedPort[],
  own: Endpoint,
  self: SelfFacts,
): Promise<ContainerFacts[]> {
  const { address } = dialable(own);
  const ask = async ({ name, port }: NamedPort): Promise<ContainerFacts> => {
    const isSelf = port === own.port;
    const said = isSelf ? self : await askSelf({ address, port });
    return {
      ...{ name, port, self: isSelf },
      ...{ state: said?.state ?? null, uptimeMs: said?.uptimeMs ?? null, sessions: said?.sessions ?? [] },
    };
  };
  return Promise.all(ports.map(ask));
}

/** Whom the other containers of this Pod had as clients; of those that did not say, nothing. @param own as above */
export async function clientsOfPod(ports: readonly NamedPort[], own: Endpoint): Promise<ToldClients[]> {
  const { address } = dialable(own);
  const ask = async ({ port }: NamedPort): Promise<ToldClients | null> => {
    const got = await httpGet({ address, port }, CLIENTS_PATH, ASK_CLIENTS);
    if (got instanceof NoAnswer || got.status !== 200) return null;
    const { readClients } = await import("./said.ts");
    return readClients(got.body);
  };
  const told = await Promise.all(ports.filter(({ port }) => port !== own.port).map(ask));
  return told.filter((each) => each !== null);
}

/** One who is to be asked, as DNS has it. */
interface Candidate {
  /** Null for one that is known by its address alone. */
  readonly name: string | null;
  readonly addresses: readonly string[];
}

/**
 * The fleet, each member asked at its admin port how it is.
 * @param found as `resolveFleet` gives it: the name of all, then the members by name
 * @param besides addresses of members that no name has, as the mesh knows them
 * @param port of admin: the same for all
 * @param own addresses of this machine: who has one of them is this one, and not asked
 */
export async function fleetFacts(
  found: readonly FleetMember[],
  besides: readonly string[],
  port: number,
  own: readonly string[],
  self: SelfFacts,
): Promise<FleetFacts[]> {
  const candidates = candidatesOf(found, besides);
  const endMs = performance.now() + ROUND_MS;
  const facts: FleetFacts[] = [];
  let next = 0;
  const askOnAndOn = async (): Promise<void> => {
    for (let at = next++; at < candidates.length; at = next++) {
      const { name, addresses } = candidates[at]!;
      const isSelf = addresses.some((address) => own.includes(address));
      const asks = at < ASKED_MAX && performance.now() < endMs;
      const said = isSelf ? self : asks ? await askMember(addresses, port) : null;
      facts[at] = {
        name: name ?? said?.name ?? addresses[0]!,
        node: said?.node ?? null,
        addresses,
        state: said?.state ?? null,
        self: isSelf,
      };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askOnAndOn));
  return oneOfEach(facts, candidates);
}

/** Whoever is known by addresses alone and says the same of itself at one of each IP version is one member. */
function oneOfEach(facts: readonly FleetFacts[], candidates: readonly Candidate[]): FleetFacts[] {
  const members: FleetFacts[] = [];
  for (const [at, fact] of facts.entries()) {
    const isUnnamed = candidates[at]!.name === null && fact.state !== null;
    const same = isUnnamed ? members.findIndex((other) => isOtherVersionOf(fact, other)) : -1;
    if (same === -1) members.push(fact);
    else members[same] = { ...members[same]!, addresses: [...members[same]!.addresses, ...fact.addresses] };
  }
  return members;
}

function isOtherVersionOf({ name, node, addresses }: FleetFacts, other: FleetFacts): boolean {
  const versions = [...addresses, ...other.addresses].map((address) => address.includes(":"));
  return other.name === name && other.node === node && versions.length === 2 && versions[0] !== versions[1];
}

async function askMember([address]: readonly string[], port: number): Promise<SelfFacts | null> {
  const endpoint = address === undefined ? null : endpointOf(address, port);
  return endpoint === null ? null : askSelf(endpoint);
}

/** Members by name, then those that are known by their address alone. */
function candidatesOf([all, ...named]: readonly FleetMember[], besides: readonly string[]): Candidate[] {
  const known = new Set(named.flatMap(({ addresses }) => addresses));
  const others = [...new Set([...(all?.addresses ?? []), ...besides])].filter(
    (address) => !known.has(address),
  );
  return [...named, ...others.map((address) => ({ name: null, addresses: [address] }))];
}

/** The member that has this address; null for a stranger. */
export function memberWith(fleet: readonly FleetFacts[], address: string): string | null {
  return fleet.find(({ addresses }) => addresses.includes(address))?.name ?? null;
}
