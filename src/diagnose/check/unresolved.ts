import type { Resolution } from "../resolve.ts";
import type { CheckResult, Problem, Protocol } from "../result.ts";
import { DEFAULT_PORTS, type Family, type Target } from "../targets.ts";
import { timeText } from "../words.ts";

/** Why a name gave no address: any resolution but `found`. */
type Unresolved = Exclude<Resolution, { readonly kind: "found" }>;

/** What is told of a protocol of a target whose name has no address: nothing was sent. */
export function unresolvedResult(
  target: Target,
  protocol: Protocol,
  why: Unresolved,
  family: Family | null,
): CheckResult {
  const port = target.port ?? DEFAULT_PORTS[protocol];
  return {
    target: target.text,
    protocol,
    name: target.host,
    address: null,
    port,
    ok: false,
    resolveMs: why.ms,
    flows: 0,
    flowsAnswered: 0,
    servers: null,
    source: { own: null, seen: null, addressTranslated: null, portTranslated: null },
    destination: { asked: `${target.host}:${port}`, translated: null },
    connectMs: null,
    firstByteMs: null,
    rttMs: null,
    sent: 0,
    received: 0,
    lost: 0,
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
    problems: [problemOf(target.host, why, family)],
    notes: [],
  };
}

function problemOf(host: string, why: Unresolved, family: Family | null): Problem {
  if (why.kind === "unknown") return unanswered(host, why);
  const version = family === null ? "" : `IPv${family} `;
  const next = { next: `getent ahosts ${host}`, where: "this_machine", flow: null } as const;
  if (why.otherFamily) {
    return {
      code: "no_such_name",
      says: `the resolver says that ${host} has no ${version}address, only others`,
      likely: `the name is of one IP version alone, and -${family} or --source asks for the other`,
      ...next,
    };
  }
  return {
    code: "no_such_name",
    says: `the resolver says that there is no ${version}address of that name: ${host}`,
    likely: "the name is misspelt, is of another namespace, or nothing that is ready stands behind it",
    ...next,
  };
}

/** The resolver did not say. An error for now (SERVFAIL, a refusal) comes at once, silence after seconds. */
function unanswered(host: string, { word, ms }: Extract<Unresolved, { kind: "unknown" }>): Problem {
  const said = word === "" ? "" : ` (${word})`;
  return {
    code: "no_such_name",
    flow: null,
    says: `the resolver does not answer: nothing about ${host} in ${timeText(ms)}${said}`,
    likely: "the name server is down, is refused to this machine, or fails itself",
    where: "path",
    next: "cat /etc/resolv.conf",
  };
}
