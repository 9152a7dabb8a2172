import { formatAddress } from "../net/address.ts";
import { formatEndpoint, parseEndpoint } from "../net/endpoint.ts";
import type { ClientFacts, FleetFacts, ToldClient, ToldClients } from "../page/facts.ts";
import type { LastClient } from "../state/last-clients.ts";
import { memberWith } from "./neighbours.ts";

/** @param found null where they are not kept */
export function toldClients(found: readonly LastClient[] | null): ToldClients {
  return { version: 1, clients: found === null ? null : found.map(toldClient) };
}

function toldClient({ openedAtMs, client, protocol, sessions, bytes, open }: LastClient): ToldClient {
  return {
    at: new Date(openedAtMs).toISOString(),
    client: formatEndpoint(client),
    protocol: protocol === "tcp" ? "TCP" : "UDP",
    sessions,
    bytes,
    open,
  };
}

/**
 * Clients of all containers of a Pod as one list, newest first, each with the member of the fleet that it is: who comes
 * over one protocol is looked for on the page of the other too.
 * @returns null where no container keeps them
 */
export function clientFacts(
  told: readonly ToldClients[],
  fleet: readonly FleetFacts[],
): ClientFacts[] | null {
  const kept = told.flatMap(({ clients }) => (clients === null ? [] : [clients]));
  if (kept.length === 0) return null;
  const all = kept.flat().map((client) => ({ ...client, member: memberOf(client, fleet) }));
  return all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at)); // of two at the same time the order stays
}

function memberOf({ client }: ToldClient, fleet: readonly FleetFacts[]): string | null {
  const end = parseEndpoint(client);
  return end === null ? null : memberWith(fleet, formatAddress(end.address));
}
