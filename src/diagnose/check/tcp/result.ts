import { type Quantiles, RoundTrips } from "../../../client/round-trips.ts";
import { hostOf } from "../../../net/endpoint.ts";
import type { CheckResult, MessageCounts, MtuResult } from "../../result.ts";
import { serversSeen, translationOf } from "../servers.ts";
import { unevenNote } from "../uneven.ts";
import { countWrong } from "./answers.ts";
import { notesOf, problemsOf } from "./judge.ts";
import { bulkOf, type FlowSeen, isAnswered, roundTripsOf, type TcpSeen } from "./seen.ts";

/** What is told of an address that was asked by TCP. Pure. */
export function resultOf(seen: TcpSeen): CheckResult {
  const { asked, flows } = seen;
  const spoke = flows.filter((flow) => isAnswered(flow) || flow.banner !== null);
  const servers = serversSeen(spoke.map(({ banner }) => banner));
  const { source, destination, notes } = translationOf(asked.endpoint, spoke.length > 0 ? spoke : flows);
  const uneven = unevenNote(servers);
  const problems = problemsOf(seen);
  const bulk = bulkOf(seen);
  return {
    target: asked.target,
    protocol: "tcp",
    name: asked.name,
    address: hostOf(asked.endpoint),
    port: asked.endpoint.port,
    ok: problems.length === 0 && flows.some(isAnswered),
    resolveMs: asked.resolveMs,
    flows: flows.length,
    flowsAnswered: flows.filter(isAnswered).length,
    servers,
    source,
    destination,
    ...timesOf(flows),
    ...countsOf(flows),
    synRetransmits: synRetransmitsOf(flows),
    halfClose: bulk?.tail?.kind ?? null,
    bulkBytes: bulk === null || bulk.bytes === 0 ? null : bulk.received,
    tcp: kernelsOf(flows),
    hops: null,
    mtu: mtuOf(flows, bulk?.pathMtu ?? null),
    problems,
    notes: [...notes, ...(uneven === null ? [] : [uneven]), ...notesOf(seen)],
  };
}

function timesOf(flows: readonly FlowSeen[]): Pick<CheckResult, "connectMs" | "firstByteMs" | "rttMs"> {
  return {
    connectMs: quantilesOf(flows.map(({ connectMs }) => connectMs)),
    firstByteMs: quantilesOf(flows.map(({ firstByteMs }) => firstByteMs)),
    rttMs: roundTripsOf(flows).quantiles(),
  };
}

function quantilesOf(times: readonly (number | null)[]): Quantiles | null {
  const trips = new RoundTrips();
  for (const time of times) if (time !== null) trips.add(time);
  return trips.quantiles();
}

/** A message in whose place other bytes came is counted as these, and not as lost as well. */
function countsOf(flows: readonly FlowSeen[]): MessageCounts {
  return {
    sent: sum(flows.map((flow) => flow.sent)),
    received: sum(flows.map((flow) => flow.received)),
    lost: sum(flows.map((flow) => lostOf(flow))),
    duplicated: countWrong(flows, "duplicated"),
    reordered: 0, // a stream has one order
    corrupted: countWrong(flows, "corrupted"),
    foreign: countWrong(flows, "foreign"),
  };
}

/** What was sent behind a message in whose place other bytes came is not back either. */
function lostOf({ sent, received, wrong }: FlowSeen): number {
  return Math.max(0, sent - received - (wrong === null ? 0 : 1));
}

function synRetransmitsOf(flows: readonly FlowSeen[]): number | null {
  const known = flows.flatMap(({ synRetransmits }) => synRetransmits ?? []);
  return known.length === 0 ? null : sum(known);
}

/** What the kernel knew, where it says it: segments sent again over all sessions, the others of the one that came furthest. */
function kernelsOf(flows: readonly FlowSeen[]): CheckResult["tcp"] {
  const known = flows.filter(({ info }) => info !== null);
  const info = (known.find(({ bulk }) => bulk !== null) ?? known.at(-1))?.info ?? null;
  const retransmits = sum(flows.map((flow) => flow.retransmits ?? 0));
  return info === null ? null : { mss: info.mss, retransmits, kernelRttMs: info.roundTripMs };
}

/** TCP knows the way there, as the kernel learned it by the end of the bulk. */
function mtuOf(flows: readonly FlowSeen[], afterBulk: number | null): MtuResult | null {
  const there = afterBulk ?? flows.findLast(({ info }) => info !== null)?.info?.pathMtu ?? null;
  if (there === null) return null;
  return {
    there,
    back: null,
    largestThere: null,
    largestBack: null,
    holesThere: null,
    holesBack: null,
    fragmentsThere: null,
    fragmentsBack: null,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
