import type { Kind } from "../../src/diagnose/fleet/cell.ts";
import type { CheckResult, Problem, Protocol } from "../../src/diagnose/result.ts";

const CODES = { nothing: "timeout", some: "lost", large: "mtu_black_hole" } as const;

/** A result of check that is bad in that way, and else as empty as can be. */
export function badResult(kind: Kind, protocol: Protocol): CheckResult {
  const problem: Problem = {
    code: CODES[kind],
    flow: `${protocol} 10.244.1.2:40000 > 10.244.2.2:5678`,
    says: "it does not work",
    likely: "a fault that a test has made",
    where: "path",
    next: null,
  };
  return {
    target: `${protocol}://10.244.2.2`,
    protocol,
    name: "10.244.2.2",
    address: "10.244.2.2",
    port: 5678,
    ok: false,
    resolveMs: null,
    flows: 3,
    flowsAnswered: kind === "nothing" ? 0 : 2,
    servers: null,
    source: { own: "10.244.1.2", seen: null, addressTranslated: null, portTranslated: null },
    destination: { asked: "10.244.2.2:5678", translated: null },
    connectMs: null,
    firstByteMs: null,
    rttMs: null,
    sent: 6,
    received: 0,
    lost: 6,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    foreign: 0,
    synRetransmits: null,
    halfClose: null,
    bulkBytes: null,
    tcp: null,
    hops: null,
    mtu: null,
    problems: [problem],
    notes: [],
  };
}
