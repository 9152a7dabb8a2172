import { type Address, formatAddress, sameAddress } from "../../../net/address.ts";
import type { Problem } from "../../result.ts";
import { countText, plural, timeText } from "../../words.ts";
import {
  type Cause,
  NO_ROUTE_ON_THE_WAY,
  noWayByAnEnd,
  ONE_BACKEND_DEAF,
  ONE_BACKEND_GONE,
  rejected,
} from "../causes.ts";
import { captureUdp, endpointSlicesOf, FIREWALL_RULES, routeTo, sizesOf, udpSocketsAt } from "../next.ts";
import { knownOwn } from "../own-end.ts";
import { alsoSilentText, flowOf, were } from "../phrases.ts";
import {
  fewAreTold,
  hasBegunLate,
  isAnswered,
  isSilent,
  lostOnWayOf,
  type NewsSeen,
  totalsOf,
  type UdpFlowSeen,
  type UdpSeen,
} from "./seen.ts";

/** Verdicts of what is told by ICMP, and of nothing being told at all. */

/** So many senders of news have a line of their own. */
const LINES_MAX = 4;

/** A payload that any link of IPv6 takes in one packet. */
const SURELY_WHOLE_BYTES = 1232;

/** What one sender tells of one or more flows. */
interface Tidings {
  readonly news: NewsSeen;
  readonly flows: UdpFlowSeen[];
}

export function newsProblems(seen: UdpSeen): Problem[] {
  const all = tidingsOf(seen.flows);
  if (all.length === 0) return timeout(seen);
  return all
    .slice(0, LINES_MAX)
    .map((each) => (each.news.code === "refused" ? refused : unreachable)(seen, each));
}

function tidingsOf(flows: readonly UdpFlowSeen[]): Tidings[] {
  const byName = new Map<string, Tidings>();
  for (const flow of flows) {
    for (const news of flow.news) {
      const name = `${news.code} ${news.by === null ? "" : formatAddress(news.by)}`;
      const known = byName.get(name);
      if (known === undefined) byName.set(name, { news, flows: [flow] });
      else known.flows.push(flow);
    }
  }
  return [...byName.values()].toSorted((a, b) => b.flows.length - a.flows.length);
}

function refused(seen: UdpSeen, { news, flows }: Tidings): Problem {
  const { asked } = seen;
  const cause = refusedBy(seen, news.by, flows);
  // Another than was asked rejects by a rule.
  const isRule = news.by !== null && !sameAddress(news.by, asked.endpoint.address);
  const next = isRule ? FIREWALL_RULES : udpSocketsAt(asked.endpoint.port);
  return {
    code: "refused",
    by: byText(news),
    flow: flowOf(seen.asked, flows[0]),
    says: `${shareText(seen, flows)} refused (ICMP port unreachable)${senderText(news)}${silentText(seen)}`,
    ...cause,
    next: endpointSlicesOf(asked.name) ?? next,
  };
}

function refusedBy(seen: UdpSeen, by: Address | null, flows: readonly UdpFlowSeen[]): Cause {
  const { address, port } = seen.asked.endpoint;
  if (flows.some(isAnswered)) {
    const verb = flows.some(hasBegunLate) ? "began" : "ended";
    return { likely: `the server ${verb} while it was asked`, where: "far_end" };
  }
  if (by === null || sameAddress(by, address)) {
    if (seen.flows.some(isAnswered)) {
      return { likely: ONE_BACKEND_DEAF, where: "far_end" };
    }
    const firewall = by === null ? ", or a firewall refuses" : "";
    return { likely: `nobody listens on UDP port ${port} there${firewall}`, where: "far_end" };
  }
  return rejected(by, ownOf(flows), address);
}

function unreachable(seen: UdpSeen, { news, flows }: Tidings): Problem {
  return {
    code: "unreachable",
    by: byText(news),
    flow: flowOf(seen.asked, flows[0]),
    says: `${shareText(seen, flows)} not delivered (${news.detail})${senderText(news)}${silentText(seen)}`,
    ...unreachableBy(seen, news.by, flows),
    next: routeTo(seen.asked.endpoint),
  };
}

function unreachableBy(seen: UdpSeen, by: Address | null, flows: readonly UdpFlowSeen[]): Cause {
  const cause = by === null ? null : noWayByAnEnd(by, ownOf(flows), seen.asked.endpoint.address);
  if (cause !== null) return cause;
  if (seen.flows.some(isAnswered)) return { likely: ONE_BACKEND_GONE, where: "path" };
  const nobody = by === null ? ", or nobody has that address" : "";
  return { likely: `${NO_ROUTE_ON_THE_WAY}${nobody}`, where: "path" };
}

/** Nothing came back to any flow. */
function timeout(seen: UdpSeen): Problem[] {
  const silent = seen.flows.filter((flow) => isSilent(flow) && lostOnWayOf(flow) > 0);
  if (silent.length === 0 || seen.interrupted || seen.flows.some(({ heard }) => heard)) return [];
  const sent = plural(totalsOf(silent).sent, "datagram");
  const { size, timeoutMs } = seen.settings;
  return [
    {
      code: "timeout",
      flow: flowOf(seen.asked, silent[0]),
      says: `no answer to ${sent} of ${plural(silent.length, "flow")}, each within ${timeText(timeoutMs)}`,
      likely: whyNothing(silent, size),
      where: "path",
      next: isLarge(size) ? sizesOf(seen.asked) : captureUdp(seen.asked.endpoint.port),
    },
  ];
}

function whyNothing(silent: readonly UdpFlowSeen[], size: number): string {
  if (silent.some((flow) => flow.narrow !== null))
    return "they go in fragments since a router said that they are too big, and fragments are dropped";
  const large = isLarge(size) ? `${countText(size)} bytes are too many for the way, ` : "";
  return `${large}a firewall or a NetworkPolicy drops them, the server hangs, or nobody is at that address`;
}

/** So large that a link of IPv6 may not take it in one packet (RFC 8200, section 5). */
function isLarge(size: number): boolean {
  return size > SURELY_WHOLE_BYTES;
}

/** `3 of 10 flows were`, `1 of 10 flows was` */
function shareText({ flows }: UdpSeen, those: readonly UdpFlowSeen[]): string {
  return `${countText(those.length)} of ${plural(flows.length, "flow")} ${were(those.length)}`;
}

/** Flows without any news are no loss beside a refusal where nobody answers, or where it is plain that few are told. */
function silentText({ flows }: UdpSeen): string {
  const silent = flows.filter(isSilent).length;
  const explained = !flows.some(isAnswered) || fewAreTold(flows);
  return explained ? alsoSilentText(silent) : "";
}

function senderText({ by }: NewsSeen): string {
  return by === null ? "" : ` by ${formatAddress(by)}`;
}

function byText({ by }: NewsSeen): string | null {
  return by === null ? null : formatAddress(by);
}

function ownOf(flows: readonly UdpFlowSeen[]): Address | null {
  return knownOwn(flows)?.address ?? null;
}
