import type { Note, Problem } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import { ONE_BACKEND_GONE } from "../causes.ts";
import { endpointSlicesOf, sizesOf, traceUdp, udpSocketsAt } from "../next.ts";
import { flowOf } from "../phrases.ts";
import {
  fewAreTold,
  hasBegunLate,
  isAnswered,
  isNoEcho,
  isSilent,
  lostOnWayOf,
  totalsOf,
  type UdpFlowSeen,
  type UdpSeen,
} from "./seen.ts";

/** Verdicts of datagrams that did not come back though others did. */

/** Flows that lost something, by what they lost. A refusal explains what is lost of its flow. */
interface Losses {
  /** All, without a word. */
  readonly whole: UdpFlowSeen[];
  /** All, and still the server greeted: the small banner came, and no echo. */
  readonly echoes: UdpFlowSeen[];
  /** The first ones, and nothing once one had come. */
  readonly first: UdpFlowSeen[];
  readonly anywhere: UdpFlowSeen[];
}

export function lossProblems(seen: UdpSeen): Problem[] {
  const { whole, echoes, first, anywhere } = lossesOf(seen);
  return [
    ...wholeFlows(seen, whole),
    ...allEchoes(seen, echoes),
    ...firstOfEach(seen, first),
    ...scattered(seen, anywhere),
  ];
}

/** A link on the way was too narrow and said so: the system sends smaller packets from then on. */
export function lossNotes(seen: UdpSeen): Note[] {
  const told = seen.flows.flatMap(({ narrow }) => (narrow === null ? [] : [narrow]));
  const sizes = told.flatMap(({ mtu }) => (mtu === null ? [] : [mtu]));
  const there: Note = {
    code: "mtu_reduced",
    direction: "there",
    mtu: sizes.length === 0 ? null : Math.min(...sizes),
    says: `a link on the way there takes ${sizes.length === 0 ? "smaller packets" : `${countText(Math.min(...sizes))} bytes`} and said so: larger ones go in fragments`,
  };
  const cut = seen.flows.filter(isCutAfterLoss);
  const largest = Math.max(...cut.map(({ fragmentBytes }) => fragmentBytes ?? 0));
  const back: Note = {
    code: "mtu_reduced",
    direction: "back",
    mtu: largest,
    says: `the first answers were lost and later ones came in fragments of ${countText(largest)} bytes at most: a link on the way back is narrow`,
  };
  return [
    ...(told.length > 0 && seen.flows.some(isAnswered) ? [there] : []),
    ...(cut.length > 0 ? [back] : []),
  ];
}

function lossesOf(seen: UdpSeen): Losses {
  const { flows, interrupted } = seen;
  const losses: Losses = { whole: [], echoes: [], first: [], anywhere: [] };
  const narrow = flows.some((flow) => flow.narrow !== null);
  const refused = fewAreTold(flows);
  const begun = refused && flows.some(hasBegunLate);
  // Where no flow heard anything that is another verdict's.
  if (!flows.some(({ heard }) => heard) || isNoEcho(flows)) return losses;
  for (const flow of flows) {
    if (lostOnWayOf(flow) === 0 || flow.news.length > 0) continue;
    if (isSilent(flow)) {
      if (!interrupted && !refused) losses.whole.push(flow);
    } else if (flow.firstBack === null && flow.banner !== null) losses.echoes.push(flow);
    else if (lostOnWayOf(flow) !== flow.firstBack) losses.anywhere.push(flow);
    else if (!narrow && !begun && !isCutAfterLoss(flow)) losses.first.push(flow);
  }
  return isOfEach(losses.first, flows)
    ? losses
    : { ...losses, first: [], anywhere: [...losses.first, ...losses.anywhere] };
}

/** The far end's system learned that its answers are too big by losing the first ones, and cuts them since then. */
function isCutAfterLoss(flow: UdpFlowSeen): boolean {
  return (flow.fragmentBytes ?? 0) > 0 && lostOnWayOf(flow) > 0 && lostOnWayOf(flow) === flow.firstBack;
}

/** Chance takes the first datagram of a flow or two, and not of most flows. */
function isOfEach(first: readonly UdpFlowSeen[], flows: readonly UdpFlowSeen[]): boolean {
  return first.length > 0 && 2 * first.length >= flows.filter(isAnswered).length;
}

function wholeFlows(seen: UdpSeen, whole: readonly UdpFlowSeen[]): Problem[] {
  if (whole.length === 0) return [];
  const which = whole.length === 1 ? "all of one flow" : `all of ${countText(whole.length)} flows`;
  return [
    {
      ...lost(seen, whole, which),
      likely: `${ONE_BACKEND_GONE}, or one of several equal ways is dead`,
      next: endpointSlicesOf(seen.asked.name) ?? traceUdp(seen.asked.endpoint),
    },
  ];
}

function allEchoes(seen: UdpSeen, echoes: readonly UdpFlowSeen[]): Problem[] {
  if (echoes.length === 0) return [];
  const { size } = seen.settings;
  const facts = lost(seen, echoes, `all of ${plural(echoes.length, "flow")} that got a banner`);
  if (echoes.every(({ banner }) => banner !== null && banner.length < size)) {
    const likely = `answers of ${countText(size)} bytes do not pass on the way back, and the smaller banner does`;
    return [{ ...facts, likely, next: sizesOf(seen.asked) }];
  }
  const likely = "the server greets, and echoes nothing";
  return [{ ...facts, likely, where: "far_end", next: udpSocketsAt(seen.asked.endpoint.port) }];
}

function firstOfEach(seen: UdpSeen, first: readonly UdpFlowSeen[]): Problem[] {
  if (first.length === 0) return [];
  const which =
    first.length === 1 ? "the first of one flow" : `the first of each of ${countText(first.length)} flows`;
  return [
    {
      ...lost(seen, first, which),
      likely:
        "the way is made by a flow's first datagram (connection tracking, ARP, a tunnel), which it loses",
      next: "conntrack -S",
    },
  ];
}

function scattered(seen: UdpSeen, flows: readonly UdpFlowSeen[]): Problem[] {
  if (flows.length === 0) return [];
  const which =
    flows.length === 1 ? "some of one flow" : `here and there in ${countText(flows.length)} flows`;
  return [
    {
      ...lost(seen, flows, which),
      likely: "a queue on the way overflows, a rate limit drops, or a link is bad",
      next: traceUdp(seen.asked.endpoint),
    },
  ];
}

/** What all verdicts of loss have alike. @param which of all datagrams it was */
function lost(seen: UdpSeen, flows: readonly UdpFlowSeen[], which: string): Omit<Problem, "likely" | "next"> {
  const count = flows.reduce((sum, flow) => sum + lostOnWayOf(flow), 0);
  const { sent } = totalsOf(seen.flows);
  return {
    code: "lost",
    count,
    flow: flowOf(seen.asked, flows[0]),
    says: `${countText(count)} of ${plural(sent, "datagram")} did not come back, ${which}`,
    where: "path",
  };
}
