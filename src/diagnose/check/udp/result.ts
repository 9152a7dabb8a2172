import { formatAddress } from "../../../net/address.ts";
import { hostOf } from "../../../net/endpoint.ts";
import { hopsOf } from "../../hops.ts";
import type { CheckResult } from "../../result.ts";
import { knownOwn } from "../own-end.ts";
import { serversSeen, translationOf } from "../servers.ts";
import { unevenNote } from "../uneven.ts";
import { notesOf, problemsOf } from "./judge.ts";
import { isAnswered, totalsOf, type UdpSeen } from "./seen.ts";

/** What is told of an address that was asked by UDP. Pure. */
export function resultOf(seen: UdpSeen): CheckResult {
  const { asked, flows } = seen;
  const answered = flows.filter(isAnswered);
  const servers = serversSeen(answered.map(({ banner }) => banner));
  const { source, destination, notes } = translationOf(asked.endpoint, answered);
  const uneven = unevenNote(servers);
  const own = knownOwn(answered) ?? knownOwn(flows);
  const problems = problemsOf(seen);
  return {
    target: asked.target,
    protocol: "udp",
    name: asked.name,
    address: hostOf(asked.endpoint),
    port: asked.endpoint.port,
    ok: problems.length === 0 && answered.length > 0,
    resolveMs: asked.resolveMs,
    flows: flows.length,
    flowsAnswered: answered.length,
    servers,
    // This end is known of flows that were not answered too.
    source: { ...source, own: own === null ? null : formatAddress(own.address) },
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
    problems,
    notes: [...notes, ...(uneven === null ? [] : [uneven]), ...notesOf(seen)],
  };
}

/** The fewest of all flows: other ways may be longer. */
function hopsBackOf({ flows }: UdpSeen): CheckResult["hops"] {
  const hops = flows.flatMap(({ ttl }) => (ttl === null ? [] : [hopsOf(ttl)]));
  return hops.length === 0 ? null : { there: null, back: Math.min(...hops) };
}
