import type { Failure, FailureCode } from "../../../client/failure.ts";
import { formatAddress } from "../../../net/address.ts";
import { formatEndpoint } from "../../../net/endpoint.ts";
import type { Problem } from "../../result.ts";
import { timeText } from "../../words.ts";
import {
  NO_ROUTE_ON_THE_WAY,
  NOT_PERMITTED,
  noInterface,
  noSuchAddress,
  noWayByAnEnd,
  ONE_BACKEND_DEAF,
  ONE_BACKEND_GONE,
  rejected,
  type Words,
} from "../causes.ts";
import { captureTcp, endpointSlicesOf, FIREWALL_RULES, routeTo, sessionsTo, tcpSocketsAt } from "../next.ts";
import { alsoSilentText, flowOf, shareText, were } from "../phrases.ts";
import { connectTimeoutMs } from "./flow.ts";
import { type FlowSeen, isAnswered, type TcpSeen } from "./seen.ts";
import { isSession } from "./sessions.ts";

/** What is wrong with sessions that could not be begun: one problem for each cause. */
export function connectProblems(seen: TcpSeen): Problem[] {
  const failed = seen.flows.flatMap((flow) =>
    flow.failure !== null && !isSession(flow, flow.failure) ? [{ flow, failure: flow.failure }] : [],
  );
  const groups = Map.groupBy(failed, ({ failure }) => `${codeOf(failure)} ${byOf(failure)}`);
  const told = [...groups.values()].filter(isTold);
  // Systems send few such news a second: who heard none beside the one who tells is no sign of another fault.
  const silent = told.length === 1 ? groups.get(SILENT) : undefined;
  if (silent !== undefined) groups.delete(SILENT);
  return [...groups.values()].map((group) => {
    const problem = problemOf(seen, group);
    if (silent === undefined || !isTold(group)) return problem;
    return { ...problem, says: problem.says + alsoSilentText(silent.length) };
  });
}

/** The key of those that heard nothing. */
const SILENT = "timeout null";

/** Whether ICMP told of it. */
function isTold([first]: readonly Failed[]): boolean {
  return first!.failure.icmp !== null;
}

interface Failed {
  readonly flow: FlowSeen;
  readonly failure: Failure;
}

type ConnectCode = "refused" | "unreachable" | "timeout" | "no_ports_here" | "no_descriptors_here";

/** What a connect's failure is called. What none of the verdicts means in particular is `unreachable`, and says why. */
const CODES: Readonly<Partial<Record<FailureCode, ConnectCode>>> = {
  refused: "refused",
  refused_or_unreachable: "refused",
  timeout: "timeout",
  no_ports_here: "no_ports_here",
  port_in_use_here: "no_ports_here",
  no_descriptors_here: "no_descriptors_here",
  no_buffers_here: "no_descriptors_here",
};

function codeOf({ code }: Failure): ConnectCode {
  return CODES[code] ?? "unreachable";
}

/** Who sent the refusal; null where it was a reset, or where the system does not tell. */
function byOf({ icmp }: Failure): string | null {
  return icmp === null ? null : formatAddress(icmp.by);
}

type WordsAndNext = Words & Pick<Problem, "next">;

function problemOf(seen: TcpSeen, group: readonly Failed[]): Problem {
  const { flow, failure } = group[0]!;
  const code = codeOf(failure);
  const context = {
    seen,
    flow,
    failure,
    count: group.length,
    connects: shareText(group.length, seen.flows.length, "connect"),
  };
  const by = code === "refused" || code === "unreachable" ? { by: byOf(failure) } : {};
  return { code, ...by, flow: flowOf(seen.asked, flow), ...WORDS[code](context) };
}

interface Context {
  readonly seen: TcpSeen;
  /** The first of the sessions. */
  readonly flow: FlowSeen;
  readonly failure: Failure;
  readonly count: number;
  /** `3 of 10 connects` */
  readonly connects: string;
}

const WORDS: Readonly<Record<ConnectCode, (context: Context) => WordsAndNext>> = {
  refused: refusedWords,
  unreachable: unreachableWords,
  timeout: timeoutWords,
  no_ports_here: portsWords,
  no_descriptors_here: descriptorsWords,
};

/** Shows which Pods a Service has; where the name can be no Service's, the packets. */
function backends({ asked }: TcpSeen, { own }: FlowSeen): string {
  return endpointSlicesOf(asked.name) ?? captureTcp(asked.endpoint, own);
}

function isPartly({ flows }: TcpSeen): boolean {
  return flows.some(isAnswered);
}

function refusedWords(context: Context): WordsAndNext {
  const { seen, flow, failure, count, connects } = context;
  const next = backends(seen, flow);
  if (failure.code === "refused_or_unreachable") {
    const says = `${connects} ${were(count)} refused, or found no way there: the sockets of this system do not tell which`;
    const likely = isPartly(seen)
      ? ONE_BACKEND_GONE
      : "nothing listens on that port, or there is no way there";
    return { says, likely, where: "path", next };
  }
  if (failure.icmp !== null) {
    // A system that has no listener answers a SYN by a reset, so this is a rule.
    const says = `${connects} ${were(count)} refused by ${formatAddress(failure.icmp.by)} (ICMP port unreachable)`;
    const cause = rejected(failure.icmp.by, flow.own?.address ?? null, seen.asked.endpoint.address);
    return { says, ...cause, next: endpointSlicesOf(seen.asked.name) ?? FIREWALL_RULES };
  }
  const says = `${connects} ${were(count)} refused${seen.bySystemCalls ? " by a reset" : ""}`;
  const likely = isPartly(seen)
    ? ONE_BACKEND_DEAF
    : "nothing listens on that port, or a firewall answers for it";
  return { says, likely, where: "far_end", next };
}

/** Errors of connect(2) for which no packet has left. */
const NO_ROUTE = [
  "ENETUNREACH",
  "EACCES",
  "EINVAL",
  "ENETDOWN",
  "ENOTFOUND",
  "EAFNOSUPPORT",
  "EADDRNOTAVAIL",
];

function unreachableWords(context: Context): WordsAndNext {
  const { seen, flow, failure, connects } = context;
  const { icmp, detail, code } = failure;
  const word = detail === "" ? "" : ` (${detail})`;
  if (code === "no_such_address") return addressWords(context);
  if (code === "not_permitted_here") {
    const says = `this machine does not let ${connects} leave${word}`;
    return { says, ...NOT_PERMITTED };
  }
  if (code !== "unreachable") {
    return {
      says: `${connects} failed${word}`,
      likely: "a fault of this machine",
      where: "this_machine",
      next: null,
    };
  }
  const next = routeTo(seen.asked.endpoint);
  if (icmp !== null) {
    const says = `${connects} found no way there, says ${formatAddress(icmp.by)} by ICMP${word}`;
    const router = isPartly(seen) ? ONE_BACKEND_GONE : NO_ROUTE_ON_THE_WAY;
    const cause = noWayByAnEnd(icmp.by, flow.own?.address ?? null, seen.asked.endpoint.address);
    return { says, ...(cause ?? { likely: router, where: "path" }), next };
  }
  const says = `${connects} found no way there${word}`;
  const likely = "this machine has no route there, or one that forbids it";
  if (detail === "ENODEV") return { says, ...noInterface(seen.asked.endpoint) };
  // Where a route of this machine forbids it there is no end here either, whatever the error.
  if (NO_ROUTE.includes(detail) || flow.own === null) return { says, likely, where: "this_machine", next };
  const gone = "no machine on this link has that address, or a router on the way has no route there";
  return { says, likely: gone, where: "path", next };
}

function addressWords({ seen, failure }: Context): WordsAndNext {
  const { from, cause } = noSuchAddress(seen.settings.source.address);
  const detail = failure.detail === "" ? "" : ` (${failure.detail})`;
  return { says: `this machine cannot connect from ${from}${detail}`, ...cause };
}

function timeoutWords({ seen, flow, connects }: Context): WordsAndNext {
  return {
    says: `${connects} got no answer at all in ${timeText(connectTimeoutMs(seen.settings))}`,
    likely: isPartly(seen)
      ? ONE_BACKEND_GONE
      : "packets are dropped on the way (a firewall, a NetworkPolicy), or the host is gone",
    where: "path",
    next: backends(seen, flow),
  };
}

function portsWords({ seen, failure }: Context): WordsAndNext {
  const { endpoint } = seen.asked;
  const { port } = seen.settings.source;
  if (port !== undefined) {
    return {
      says: `source port ${port} is not free for a session to ${formatEndpoint(endpoint)} (${failure.detail})`,
      likely: "another process has it, or its last session was less than a minute ago (TIME-WAIT)",
      where: "this_machine",
      next: tcpSocketsAt(port),
    };
  }
  return {
    says: `no source port is left for session ${seen.flows.length} to ${formatEndpoint(endpoint)} (${failure.detail})`,
    likely: "this machine has too many sessions to that end, open or in TIME-WAIT",
    where: "this_machine",
    next: sessionsTo(endpoint),
  };
}

function descriptorsWords({ seen, failure }: Context): WordsAndNext {
  const memory = failure.code === "no_buffers_here";
  return {
    says: `this machine has no ${memory ? "memory" : "descriptor"} left for session ${seen.flows.length} (${failure.detail})`,
    likely: memory
      ? "the kernel's limits of socket memory"
      : "the limit of open files of this process or machine",
    where: "this_machine",
    next: memory ? "cat /proc/net/sockstat" : "ulimit -n; cat /proc/sys/fs/file-nr",
  };
}
