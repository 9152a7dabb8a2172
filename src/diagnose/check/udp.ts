import { formatAddress } from "../../net/address.ts";
import { hostOf } from "../../net/endpoint.ts";
import type { CheckResult } from "../result.ts";
import { hopsOf } from "./hops.ts";
import { type MtuFindings, notAnswered, probeMtu } from "./mtu.ts";
import type { Asked, CheckContext } from "./plan.ts";
import { serversSeen, translationOf } from "./servers.ts";
import { askFlows } from "./udp/flows.ts";
import { isAnswered, totalsOf, type UdpSeen } from "./udp/seen.ts";
import { judgeUdp } from "./udp/verdicts.ts";
import { unevenNote } from "./uneven.ts";

/**
 * Asks one address by UDP: new flows, each with a source port of its own and datagrams that are unlike all others. All
 * that the network does is in the result; nothing is thrown.
 */
export async function checkUdp(asked: Asked, context: CheckContext): Promise<CheckResult> {
  if (!context.settings.mtu) return resultOf(await askFlows(asked, context));
  const halved = (from: number): CheckContext => ({
    ...context,
    progress: (share) => context.progress(from + share / 2),
  });
  const seen = await askFlows(asked, halved(0));
  const heard = seen.flows.some((flow) => flow.heard); // if only of a banner: smaller ones may pass
  return withSizes(resultOf(seen), heard ? await probeMtu(asked, halved(0.5)) : notAnswered());
}

/** The result with what was found of the sizes, which knows more of them than the flows do. */
function withSizes(result: CheckResult, { mtu, problems, notes }: MtuFindings): CheckResult {
  const others = result.notes.filter(({ code }) => mtu === null || code !== "mtu_reduced");
  return {
    ...result,
    mtu,
    ok: result.ok && problems.length === 0,
    problems: [...result.problems, ...problems],
    notes: [...others, ...notes],
  };
}

/** The result that follows from what was measured. */
export function resultOf(seen: UdpSeen): CheckResult {
  const { asked, flows } = seen;
  const answered = flows.filter(isAnswered);
  const servers = serversSeen(answered.map(({ banner }) => banner));
  const { source, destination, notes } = translationOf(asked.endpoint, answered);
  const uneven = unevenNote(servers);
  const judged = judgeUdp(seen);
  return {
    target: asked.target,
    protocol: "udp",
    name: asked.name,
    address: hostOf(asked.endpoint),
    port: asked.endpoint.port,
    ok: judged.problems.length === 0 && answered.length > 0,
    resolveMs: asked.resolveMs,
    flows: flows.length,
    flowsAnswered: answered.length,
    servers,
    source: { ...source, own: source.own ?? ownOf(seen) },
    destination,
    connectMs: null,
    firstByteMs: null,
    rttMs: seen.rttMs,
    ...totalsOf(flows),
    synRetransmits: null,
    halfClose: null,
    bulkBytes: null,
    tcp: null,
    hops: hopsBackOf(seen),
    mtu: null,
    problems: judged.problems,
    notes: [...notes, ...(uneven === null ? [] : [uneven]), ...judged.notes],
  };
}

/** This end is known of flows that were not answered too. */
function ownOf({ flows }: UdpSeen): string | null {
  const own = flows.find((flow) => flow.own !== null)?.own ?? null;
  return own === null ? null : formatAddress(own.address);
}

/** The fewest of all flows: other ways may be longer. */
function hopsBackOf({ flows }: UdpSeen): CheckResult["hops"] {
  const hops = flows.flatMap(({ ttl }) => (ttl === null ? [] : [hopsOf(ttl)]));
  return hops.length === 0 ? null : { there: null, back: Math.min(...hops) };
}
