import type { BoundEndpoints } from "../engine/loop.ts";
import type { LoopFacts, RefusalFacts, SessionFacts } from "../page/facts.ts";
import { Clock } from "../state/clock.ts";
import {
  BANNER_SUPPRESSIONS,
  COUNTER,
  countersOf,
  sumColumn,
  TCP_REFUSALS,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../state/counters.ts";
import type { SharedTables } from "../state/shared.ts";
import { HEARTBEAT_AGE_MAX_MS } from "./health.ts";
import {
  BANNER_MEANINGS,
  SESSIONLESS_MEANING,
  TCP_REFUSAL_MEANINGS,
  UDP_DROP_MEANINGS,
  UDP_REFUSAL_MEANINGS,
} from "./meanings.ts";

/** What loops have counted, as the page shows it: of the protocols that are served. */

/** Newcomers at the cap of UDP sessions, as metrics have them too: those are counted by themselves. */
const SESSIONLESS = ["sessionless"] as const;

export function sessionFacts({ counters }: SharedTables, bound: BoundEndpoints): SessionFacts[] {
  const sum = (first: number, length = 1): number => {
    let total = 0;
    for (let at = 0; at < length; at++) total += sumColumn(counters, first + at);
    return total;
  };
  const tcp: SessionFacts = {
    protocol: "TCP",
    active: Math.max(0, sum(COUNTER.tcpOpened) - sum(COUNTER.tcpClosed)), // loops count on between two reads
    opened: sum(COUNTER.tcpOpened),
    refused: sum(COUNTER.tcpRefused, TCP_REFUSALS.length),
    receivedBytes: sum(COUNTER.tcpReceivedBytes),
    sentBytes: sum(COUNTER.tcpSentBytes),
  };
  const udp: SessionFacts = {
    protocol: "UDP",
    active: Math.max(0, sum(COUNTER.udpOpened) - sum(COUNTER.udpClosed)),
    opened: sum(COUNTER.udpOpened),
    refused: sum(COUNTER.udpRefused, UDP_REFUSALS.length),
    receivedBytes: sum(COUNTER.udpReceivedBytes),
    sentBytes: sum(COUNTER.udpSentBytes),
  };
  return [...(bound.tcp.length > 0 ? [tcp] : []), ...(bound.udp.length > 0 ? [udp] : [])];
}

export function refusalFacts({ counters }: SharedTables, bound: BoundEndpoints): RefusalFacts[] {
  const kind = <Reason extends string>(
    protocol: RefusalFacts["protocol"],
    what: RefusalFacts["what"],
    reasons: readonly Reason[],
    first: number,
    meanings: Readonly<Record<Reason, string>>,
  ): RefusalFacts[] =>
    reasons.map((reason, at) => ({
      protocol,
      what,
      reason,
      count: sumColumn(counters, first + at),
      meaning: meanings[reason],
    }));
  const tcp = kind("TCP", "refused", TCP_REFUSALS, COUNTER.tcpRefused, TCP_REFUSAL_MEANINGS);
  const udp = [
    ...kind("UDP", "refused", UDP_REFUSALS, COUNTER.udpRefused, UDP_REFUSAL_MEANINGS),
    ...kind("UDP", "dropped", UDP_DROPS, COUNTER.udpDropped, UDP_DROP_MEANINGS),
    ...kind("UDP", "banner left out", BANNER_SUPPRESSIONS, COUNTER.udpBannersSuppressed, BANNER_MEANINGS),
    ...kind("UDP", "banner left out", SESSIONLESS, COUNTER.udpSessionless, {
      sessionless: SESSIONLESS_MEANING,
    }),
  ];
  return [...(bound.tcp.length > 0 ? tcp : []), ...(bound.udp.length > 0 ? udp : [])];
}

export function loopFacts({ counters, serves }: SharedTables): LoopFacts[] {
  const { nowMs } = new Clock();
  return serves.map(({ tcp, udp }, loop) => {
    const row = countersOf(counters, loop);
    const active = (opened: number, closed: number): number => Math.max(0, row[opened]! - row[closed]!);
    const heartbeatAgeMs = Math.max(0, Math.round(nowMs - row[COUNTER.heartbeatMs]!));
    return {
      loop,
      serves: [tcp ? "TCP" : null, udp ? "UDP" : null].filter((each) => each !== null).join(" and "),
      heartbeatAgeMs,
      hangs: heartbeatAgeMs > HEARTBEAT_AGE_MAX_MS,
      lagMs: row[COUNTER.loopLagSeconds]! * 1000,
      sessions: active(COUNTER.tcpOpened, COUNTER.tcpClosed) + active(COUNTER.udpOpened, COUNTER.udpClosed),
    };
  });
}
