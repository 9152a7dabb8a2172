import type { Failure } from "../../../client/failure.ts";
import type { Quantiles } from "../../../client/round-trips.ts";
import type { Counts } from "../../../client/tracker.ts";
import type { Address } from "../../../net/address.ts";
import type { Banner } from "../../../net/banner.ts";
import type { Endpoint } from "../../../net/endpoint.ts";
import type { MessageCounts } from "../../result.ts";
import type { Asked, CheckSettings } from "../plan.ts";

/** What was measured of one address by UDP: plain facts, from which verdicts follow and nothing else does. */

/** News of ICMP, or of the system in its place, that came so often. */
export interface NewsSeen {
  readonly code: "refused" | "unreachable";
  /** Who sent it; null where the system does not tell. */
  readonly by: Address | null;
  /** The system's word: `EHOSTUNREACH`. */
  readonly detail: string;
  readonly count: number;
}

/** Someone else than was asked, who answered so often with what was sent to the one who was asked. */
export interface StrangerSeen {
  /** `10.0.0.3:5678` */
  readonly from: string;
  readonly count: number;
}

/** News that a packet was too big for a link on the way there. */
export interface NarrowSeen {
  /** What that link takes, in bytes of an IP packet; null where the system does not tell. */
  readonly mtu: number | null;
  readonly by: Address | null;
  readonly count: number;
}

export interface UdpFlowSeen {
  /** This end; null where its address is not known. */
  readonly own: Endpoint | null;
  readonly counts: Readonly<Counts>;
  /** Why this machine did not send a message, which is not counted then; null where it sent all. */
  readonly notSent: Failure | null;
  /** Messages of this flow that came to another one. */
  readonly astray: number;
  /** Of the foreign ones: those of another flow of this run. */
  readonly crossed: number;
  /** The lowest number of a message that came back, right or changed; null where none did. */
  readonly firstBack: number | null;
  /** Whether any datagram came that was meant for this flow, or came from the end that was asked. */
  readonly heard: boolean;
  readonly banner: Banner | null;
  /** The largest TTL or hop limit of what came from the end that was asked; null where the system does not say. */
  readonly ttl: number | null;
  /** Bytes of the largest IP fragment of an echo, 0 where all came whole; null where the system does not say. */
  readonly fragmentBytes: number | null;
  readonly strangers: readonly StrangerSeen[];
  readonly news: readonly NewsSeen[];
  readonly narrow: NarrowSeen | null;
  /** What came here and was thrown away because nobody read it in time. */
  readonly dropped: number;
}

export interface UdpSeen {
  readonly asked: Asked;
  readonly settings: CheckSettings;
  readonly flows: readonly UdpFlowSeen[];
  /** Why there are fewer flows than were asked for; null where there are not. */
  readonly notOpened: Failure | null;
  readonly rttMs: Quantiles | null;
  readonly bySystemCalls: boolean;
  /** Given up by its owner: what is under way is not lost. */
  readonly interrupted: boolean;
}

/** The messages of some flows, together. */
export function totalsOf(flows: readonly UdpFlowSeen[]): MessageCounts {
  const sum = (of: (flow: UdpFlowSeen) => number): number =>
    flows.reduce((total, flow) => total + of(flow), 0);
  return {
    sent: sum(({ counts }) => counts.sent),
    received: sum(receivedOf),
    lost: sum(lostOf),
    duplicated: sum(({ counts }) => counts.duplicated),
    reordered: sum(({ counts }) => counts.reordered),
    corrupted: sum(({ counts }) => counts.corrupted),
    foreign: sum(({ counts }) => counts.foreign),
  };
}

/** Messages whose whole echo came, late ones too. */
function receivedOf({ counts }: UdpFlowSeen): number {
  return counts.answered + counts.late;
}

/** A flow is answered by one right echo. */
export function isAnswered(flow: UdpFlowSeen): boolean {
  return receivedOf(flow) > 0;
}

/**
 * Messages that did not come back, to no flow. What came to another flow is counted there, as foreign; where
 * something foreign came in its place here, it is none of the lost already.
 */
export function lostOf({ counts, astray }: UdpFlowSeen): number {
  return Math.max(0, counts.lost - Math.max(0, astray - counts.replaced));
}

/** Of these: as many as this machine may have thrown away. */
export function lostHereOf(flow: UdpFlowSeen): number {
  return Math.min(lostOf(flow), flow.dropped);
}

/** And those that it has not. */
export function lostOnWayOf(flow: UdpFlowSeen): number {
  return lostOf(flow) - lostHereOf(flow);
}

/** Whether all that a flow sent came back right, once, in time and from where it was asked, and nothing else came. */
export function isFlawless({ counts, strangers, news, narrow }: UdpFlowSeen): boolean {
  const { sent, answered, duplicated, corrupted, foreign, forgotten } = counts;
  const wrong = duplicated + corrupted + foreign + forgotten + strangers.length + news.length;
  return sent === answered && wrong === 0 && narrow === null;
}

/** What answers there is no echo, or changes all that it echoes: that it does not answer each time is none of the path. */
export function isNoEcho(flows: readonly UdpFlowSeen[]): boolean {
  const { corrupted, foreign } = totalsOf(flows);
  return (
    corrupted + foreign > 0 && flows.every(({ firstBack, banner }) => firstBack === null && banner === null)
  );
}

/** Whether what a flow sent was neither answered nor refused. */
export function isSilent(flow: UdpFlowSeen): boolean {
  return flow.counts.sent > 0 && !flow.heard && flow.news.length === 0;
}

/** Whether its first datagrams were refused, and a later one was answered. */
export function hasBegunLate({ news, firstBack }: UdpFlowSeen): boolean {
  return news.length > 0 && firstBack !== null && firstBack > 0;
}

/**
 * Whether not each datagram that was refused was told of: Linux sends one machine six such news at once, and then one a
 * second (icmp(7), `icmp_ratelimit`). Flows that hear nothing are then no sign of another fault.
 */
export function fewAreTold(flows: readonly UdpFlowSeen[]): boolean {
  return flows.some(({ news, counts }) => {
    const told = news.reduce((sum, { count }) => sum + count, 0);
    return told > 0 && told < counts.lost;
  });
}

/** The flow's own port, which no other flow has; where it is not known, the port that was asked. */
export function portOf({ asked }: UdpSeen, flow: UdpFlowSeen): number {
  return flow.own?.port ?? asked.endpoint.port;
}
