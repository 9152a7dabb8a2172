import type { Note, Problem } from "../../result.ts";
import { countText, plural, timeText } from "../../words.ts";
import { captureSyns, captureTcp, sizesTo } from "../next.ts";
import { flowOf, shareText } from "../phrases.ts";
import {
  type BulkSeen,
  bulkOf,
  type FlowSeen,
  isAnswered,
  roundTripsOf,
  type TailSeen,
  type TcpSeen,
} from "./seen.ts";

/** What is wrong with the way there of sessions that were answered: SYNs, large segments, the half-close. */
export function pathProblems(seen: TcpSeen): Problem[] {
  const carriers = seen.flows.flatMap((flow) => (flow.bulk === null ? [] : [{ flow, bulk: flow.bulk }]));
  return [
    synLost(seen),
    ...carriers.flatMap(({ flow, bulk }) => [stalled(seen, flow, bulk), halfClose(seen, flow, bulk)]),
  ].filter((problem) => problem !== null);
}

/** A path MTU under the interface's, where everything passes. */
export function pathNotes(seen: TcpSeen): Note[] {
  const bulk = bulkOf(seen);
  if (bulk === null || bulk.pathMtu === null || bulk.stalled || bulk.received < bulk.bytes) return [];
  if (seen.interfaceMtu === null || bulk.pathMtu >= seen.interfaceMtu) return [];
  const says =
    `packets of ${countText(bulk.pathMtu)} bytes go there, ` +
    `the interface has ${countText(seen.interfaceMtu)}; everything passes`;
  return [{ code: "mtu_reduced", direction: "there", mtu: bulk.pathMtu, says }];
}

/**
 * Linux sends a SYN again after 1, 3 and 7 s, and since 6.5 after 1, 2, 3, 4, 5 and 7 s (tcp_syn_linear_timeouts);
 * others begin with 1 s too (RFC 6298, 2.1).
 */
const SYN_AGAIN_MS = 1000;

/** Echoes are quick where a SYN could not be sent again for being slow. */
const QUICK_MS = SYN_AGAIN_MS / 2;

/** A connect is near a whole second that it can be told from one that is slow for another reason. */
const NEAR_MS = { before: 30, after: 250 };

/** Connects that needed more than one SYN, while echoes are quick. */
function synLost(seen: TcpSeen): Problem | null {
  const echoMs = roundTripsOf(seen.flows).quantile(0.5);
  if (echoMs === null || echoMs > QUICK_MS) return null;
  const late = seen.flows.filter((flow) => isAnswered(flow) && neededMore(flow, echoMs));
  const first = late[0];
  if (first === undefined) return null;
  const again = late.reduce((sum, flow) => sum + (flow.synRetransmits ?? 0), 0);
  const connects = seen.flows.filter(({ connectMs }) => connectMs !== null).length;
  const slowest = Math.max(...late.map(({ connectMs }) => connectMs!));
  const how = again > 0 ? `${plural(again, "SYN")} sent again` : "as long as SYNs that are sent again take";
  return {
    code: "syn_lost",
    count: late.length,
    flow: flowOf(seen.asked, first),
    says: `${shareText(late.length, connects, "connect")} took up to ${timeText(slowest)} (${how}), an echo takes ${timeText(echoMs)}`,
    likely: losesOthers(seen)
      ? "the way loses packets, SYNs among them: a queue overflows, or a link is bad"
      : "first packets of new flows are lost: a full accept queue, a race in conntrack, a rate limit of SYNs",
    where: "path",
    next: captureSyns(seen.asked.endpoint.port),
  };
}

/** Whether echoes had to be sent again as well. In the bulk that is the way of TCP, which finds out what a way takes. */
function losesOthers({ flows }: TcpSeen): boolean {
  return flows.some(({ bulk, retransmits }) => bulk === null && (retransmits ?? 0) > 0);
}

function neededMore({ connectMs, synRetransmits }: FlowSeen, echoMs: number): boolean {
  if (connectMs === null) return false;
  if (synRetransmits !== null) return synRetransmits > 0;
  const seconds = Math.round((connectMs - echoMs) / SYN_AGAIN_MS);
  const beyond = connectMs - seconds * SYN_AGAIN_MS;
  return seconds >= 1 && beyond >= -NEAR_MS.before && beyond <= NEAR_MS.after + echoMs;
}

/** Where a narrow place swallows full segments, no more than what leaves in smaller ones comes back. */
const SMALL_SEGMENTS_BYTES = 65_536;

function stalled(seen: TcpSeen, flow: FlowSeen, bulk: BulkSeen): Problem | null {
  if (!bulk.stalled) return null;
  const says =
    `the bulk stalled: ${countText(bulk.received)} of ${plural(bulk.bytes, "byte")} came back and then nothing ` +
    `in ${timeText(bulk.stallMs)}${kernelText(bulk)}; echoes of ${plural(seen.settings.size, "byte")} pass`;
  const common = { flow: flowOf(seen.asked, flow), says };
  if (bulk.received >= SMALL_SEGMENTS_BYTES) {
    return {
      ...common,
      code: "silent",
      likely: "the server or a proxy stopped reading, or the way has broken",
      where: "far_end",
      next: captureTcp(seen.asked.endpoint, flow.own),
    };
  }
  // Acknowledgements are small: where none came, no full segment did get there.
  const there = bulk.received === 0 && bulk.acknowledged === 0;
  const back = !there && bulk.acknowledged !== null;
  const likely =
    `a link on the way${back ? " back" : ""} is narrower than both ends believe, ` +
    `and the ICMP that would say so is filtered${back ? "; or the server swallows what is large" : ""}`;
  return {
    ...common,
    code: "mtu_black_hole",
    direction: there ? "there" : null,
    mtu: null,
    likely,
    where: "path",
    next: sizesTo(seen.asked),
  };
}

function kernelText({ retransmits, acknowledged }: BulkSeen): string {
  const again = retransmits === null ? "" : `, ${plural(retransmits, "segment")} sent again`;
  return acknowledged === null ? again : `${again}, ${plural(acknowledged, "byte")} acknowledged`;
}

function halfClose(seen: TcpSeen, flow: FlowSeen, { tail, stallMs }: BulkSeen): Problem | null {
  if (tail === null || tail.kind === "whole") return null;
  // Our own server ends a half-closed session well, so it is something before it.
  const where = flow.banner === null ? "far_end" : "path";
  const common = {
    flow: flowOf(seen.asked, flow),
    where,
    next: captureTcp(seen.asked.endpoint, flow.own),
  } as const;
  if (tail.kind === "cut") {
    return {
      ...common,
      code: "half_close_cut",
      bytes: tail.bytes,
      says: `after our FIN the tail ended after ${countText(tail.bytes)} of ${plural(tail.due, "byte")}${endText(tail, stallMs)}`,
      likely: "a proxy or the server takes the first FIN for the end of both ways",
    };
  }
  return {
    ...common,
    code: "half_close_no_end",
    says: `after our FIN all ${plural(tail.due, "byte")} of the tail came, and no end in ${timeText(stallMs)}`,
    likely: "the server does not close when its client has, or something on the way swallows the FIN",
  };
}

function endText({ endedBy }: TailSeen, stallMs: number): string {
  if (endedBy === null) return `, with nothing more in ${timeText(stallMs)}`;
  return endedBy === "fin" ? ", by a FIN" : ", by a reset";
}
