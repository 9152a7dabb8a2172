import { formatAddress } from "../../../net/address.ts";
import { hostOf } from "../../../net/endpoint.ts";
import type { CheckResult } from "../../result.ts";
import { hopsOf } from "../hops.ts";
import { serversSeen, translationOf } from "../servers.ts";
import { unevenNote } from "../uneven.ts";
import { judgeUdp } from "./judge.ts";
import { isAnswered, totalsOf, type UdpSeen } from "./seen.ts";

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
