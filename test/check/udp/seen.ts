import type { Counts } from "../../../src/client/tracker.ts";
import type { NewsSeen, UdpFlowSeen, UdpSeen } from "../../../src/diagnose/check/udp/seen.ts";
import type { Address } from "../../../src/net/address.ts";
import { NO_COUNTS } from "../../client/fixtures.ts";
import { end } from "../fixtures.ts";
import { SETTINGS } from "./ask.ts";

/** What was measured, made up for the tests of what follows from it. */

export const OWN = "10.244.3.9:40112";
export const ASKED = "10.96.0.7:5678";

/** The address of `10.0.0.1`. */
export function at(host: string): Address {
  return end(`${host}:0`).address;
}

/** A flow of ten messages that was answered, but for what is given. */
export function flow(counts: Partial<Counts> = {}, more: Partial<UdpFlowSeen> = {}): UdpFlowSeen {
  return {
    own: end(OWN),
    counts: { ...NO_COUNTS, sent: 10, answered: 10, ...counts },
    notSent: null,
    astray: 0,
    crossed: 0,
    firstBack: 0,
    heard: true,
    banner: null,
    ttl: null,
    fragmentBytes: null,
    strangers: [],
    news: [],
    narrow: null,
    dropped: 0,
    ...more,
  };
}

/** A flow that heard nothing. */
export function silent(more: Partial<UdpFlowSeen> = {}): UdpFlowSeen {
  return flow({ answered: 0, lost: 10 }, { heard: false, firstBack: null, ...more });
}

/** A flow that heard of ICMP alone. */
export function told(code: NewsSeen["code"], by: string | null, detail = "ECONNREFUSED"): UdpFlowSeen {
  return silent({ news: [{ code, by: by === null ? null : at(by), detail, count: 10 }] });
}

export function seen(flows: readonly UdpFlowSeen[], more: Partial<UdpSeen> = {}): UdpSeen {
  const endpoint = end(ASKED);
  return {
    asked: { target: "udp://echo-server", protocol: "udp", name: "echo-server", endpoint, resolveMs: 0.8 },
    settings: SETTINGS,
    flows,
    notOpened: null,
    rttMs: null,
    bySystemCalls: true,
    interrupted: false,
    ...more,
  };
}
