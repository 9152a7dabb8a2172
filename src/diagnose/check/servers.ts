import { formatAddress, sameAddress } from "../../net/address.ts";
import type { Banner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint, sameAddressAndPort } from "../../net/endpoint.ts";
import type { CheckResult, Note, ServerSeen } from "../result.ts";
import { knownOwn } from "./own-end.ts";
import { someText } from "./phrases.ts";

/** A flow that was answered: its end here, and what the server said of it. */
interface FlowEnds {
  /** Null where its address is not known. */
  readonly own: Endpoint | null;
  readonly banner: Banner | null;
}

/** What banners tell of addresses that were changed on the way. */
interface Translation {
  readonly source: CheckResult["source"];
  readonly destination: CheckResult["destination"];
  /** `source_translated` and `destination_translated`, where there is such a change. */
  readonly notes: Note[];
}

/**
 * Who answered, the busiest first.
 * @param banners one of each flow that was answered; null where it came without
 * @returns null where no flow had a banner
 */
export function serversSeen(banners: readonly (Banner | null)[]): readonly ServerSeen[] | null {
  if (banners.every((banner) => banner === null)) return null;
  const byName = new Map<string, ServerSeen>();
  for (const banner of banners) {
    const server = banner === null ? null : formatEndpoint(banner.server);
    const { pod = null, node = null } = banner ?? {};
    const name = JSON.stringify([server, pod, node]);
    const flows = (byName.get(name)?.flows ?? 0) + 1;
    byName.set(name, { server, pod, node, flows });
  }
  return [...byName].toSorted(busiestFirst).map(([, server]) => server);
}

function busiestFirst([aName, a]: [string, ServerSeen], [bName, b]: [string, ServerSeen]): number {
  if (a.flows !== b.flows) return b.flows - a.flows;
  return aName < bName ? -1 : 1;
}

/**
 * Holds this end against the end that servers saw, and the end that was asked against the end that answered.
 * @param flows those that were answered
 */
export function translationOf(asked: Endpoint, flows: readonly FlowEnds[]): Translation {
  const seen = flows.flatMap(({ own, banner }) => (banner === null ? [] : [{ own, banner }]));
  const source = sourceOf(flows, seen);
  const elsewhere = seen
    .map(({ banner }) => banner.server)
    .filter((server) => !sameAddressAndPort(server, asked));
  const translated = seen.length === 0 ? null : elsewhere.length > 0;
  const notes = [sourceNote(seen), destinationNote(asked, elsewhere)];
  return {
    source,
    destination: { asked: formatEndpoint(asked), translated },
    notes: notes.filter((note) => note !== null),
  };
}

interface Greeted extends FlowEnds {
  readonly banner: Banner;
}

function sourceOf(flows: readonly FlowEnds[], seen: readonly Greeted[]): CheckResult["source"] {
  const own = knownOwn(flows);
  const compared = seen.some((flow) => flow.own !== null);
  return {
    own: own === null ? null : formatAddress(own.address),
    seen: seen.length === 0 ? null : eachOnce(seen.map(({ banner }) => formatAddress(banner.client.address))),
    addressTranslated: compared ? seen.some(hasOtherAddress) : null,
    portTranslated: compared ? seen.some(hasOtherPort) : null,
  };
}

/** What is said of the first flow whose address was changed; where none was, of the first whose port was. */
function sourceNote(seen: readonly Greeted[]): Note | null {
  const byAddress = seen.filter(hasOtherAddress);
  const changed = byAddress[0] ?? seen.find(hasOtherPort);
  if (changed === undefined || changed.own === null) return null;
  const { own, banner } = changed;
  const proxy = banner.via === null ? "" : ", by way of a proxy";
  if (byAddress.length === 0) {
    const end = formatEndpoint(banner.client);
    const says = `${formatEndpoint(own)} was seen as ${end}${proxy}: the port alone was changed`;
    return { code: "source_translated", seen: end, says };
  }
  const addresses = eachOnce(byAddress.map((flow) => formatAddress(flow.banner.client.address)));
  const says = `${formatAddress(own.address)} was seen as ${someText(addresses)}${proxy}`;
  return { code: "source_translated", seen: addresses[0]!, says };
}

function destinationNote(asked: Endpoint, elsewhere: readonly Endpoint[]): Note | null {
  if (elsewhere.length === 0) return null;
  const answered = someText(eachOnce(elsewhere.map(formatEndpoint)).toSorted());
  return {
    code: "destination_translated",
    says: `${formatEndpoint(asked)} was answered by ${answered}`,
  };
}

function hasOtherAddress({ own, banner }: Greeted): boolean {
  return own !== null && !sameAddress(own.address, banner.client.address);
}

function hasOtherPort({ own, banner }: Greeted): boolean {
  return own !== null && own.port !== banner.client.port;
}

function eachOnce(items: readonly string[]): string[] {
  return [...new Set(items)];
}
