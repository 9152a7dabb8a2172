import { type Address, formatAddress, sameAddress } from "../../../net/address.ts";
import type { Problem } from "../../result.ts";
import { countText, plural, timeText } from "../../words.ts";
import { type Cause, NO_ROUTE_ON_THE_WAY, noWayByAnEnd, rejected } from "../causes.ts";
import { captureUdp, endpointSlicesOf, routeTo, udpSocketsAt } from "../next.ts";
import { knownOwn } from "../own-end.ts";
import { flowOf, were } from "../phrases.ts";
import { isAnswered, isSilent, type NewsSeen, totalsOf, type UdpFlowSeen, type UdpSeen } from "./seen.ts";

/** Verdicts of what is told by ICMP, and of nothing being told at all. */

/** So many senders of news have a line of their own. */
const LINES_MAX = 4;

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
  return {
    code: "refused",
    by: byText(news),
    flow: flowOf(seen.asked, flows[0]),
    says: `${shareText(seen, flows)} refused (ICMP port unreachable)${senderText(news)}${silentText(seen)}`,
    ...cause,
    next: endpointSlicesOf(asked.name) ?? udpSocketsAt(asked.endpoint.port),
  };
}

function refusedBy(seen: UdpSeen, by: Address | null, flows: readonly UdpFlowSeen[]): Cause {
  const { address, port } = seen.asked.endpoint;
  if (flows.some(isAnswered)) return { likely: "the server ended while it was asked", where: "far_end" };
  if (by === null || sameAddress(by, address)) {
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
  if (by === null) return { likely: `${NO_ROUTE_ON_THE_WAY}, or nobody has that address`, where: "path" };
  const cause = noWayByAnEnd(by, ownOf(flows), seen.asked.endpoint.address);
  return cause ?? { likely: NO_ROUTE_ON_THE_WAY, where: "path" };
}

/** Nothing came back to any flow. */
function timeout(seen: UdpSeen): Problem[] {
  const silent = seen.flows.filter(isSilent);
  if (silent.length === 0 || seen.interrupted || seen.flows.some(({ heard }) => heard)) return [];
  const sent = plural(totalsOf(silent).sent, "datagram");
  const patience = timeText(seen.settings.timeoutMs);
  return [
    {
      code: "timeout",
      flow: flowOf(seen.asked, silent[0]),
      says: `no answer to ${sent} of ${plural(silent.length, "flow")}, each within ${patience}`,
      likely: whyNothing(silent),
      where: "path",
      next: captureUdp(seen.asked.endpoint.port),
    },
  ];
}

function whyNothing(silent: readonly UdpFlowSeen[]): string {
  return silent.some((flow) => flow.narrow !== null)
    ? "they go in fragments since a router said that they are too big, and fragments are dropped"
    : "a firewall or a NetworkPolicy drops them, or nobody is at that address";
}

/** `3 of 10 flows were`, `1 of 10 flows was` */
function shareText({ flows }: UdpSeen, those: readonly UdpFlowSeen[]): string {
  return `${countText(those.length)} of ${plural(flows.length, "flow")} ${were(those.length)}`;
}

/** Where nobody answers, flows without any news are no loss beside a refusal: systems send few such news a second. */
function silentText({ flows }: UdpSeen): string {
  const silent = flows.filter(isSilent).length;
  return silent === 0 || flows.some(isAnswered) ? "" : `; ${countText(silent)} more got no answer`;
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
