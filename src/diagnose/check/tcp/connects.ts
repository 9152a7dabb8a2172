import type { Failure, FailureCode, Icmp } from "../../../client/failure.ts";
import { formatAddress, sameAddress } from "../../../net/address.ts";
import { formatEndpoint } from "../../../net/endpoint.ts";
import type { Problem } from "../../result.ts";
import { countText, timeText } from "../../words.ts";
import { endpointSlicesOf, FIREWALL_RULES, noInterface, routeTo } from "../commands.ts";
import { connectTimeoutMs } from "./flow.ts";
import { backendsCommand, portCommand, sessionsCommand } from "./next.ts";
import { flowOf, shareText, were } from "./phrases.ts";
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
    return { ...problem, says: `${problem.says}; ${countText(silent.length)} more got no answer` };
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

type Words = Pick<Problem, "says" | "likely" | "where" | "next">;

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

const WORDS: Readonly<Record<ConnectCode, (context: Context) => Words>> = {
  refused: refusedWords,
  unreachable: unreachableWords,
  timeout: timeoutWords,
  no_ports_here: portsWords,
  no_descriptors_here: descriptorsWords,
};

/** Where some were answered and others not, the backends behind one address differ, or the ways to them. */
const ONE_OF_SEVERAL = "one backend is gone and still in rotation";

function isPartly({ flows }: TcpSeen): boolean {
  return flows.some(isAnswered);
}

function refusedWords(context: Context): Words {
  const { seen, flow, failure, count, connects } = context;
  const next = backendsCommand(seen.asked, flow);
  if (failure.code === "refused_or_unreachable") {
    const says = `${connects} ${were(count)} refused, or found no way there: the sockets of this system do not tell which`;
    const likely = isPartly(seen) ? ONE_OF_SEVERAL : "nothing listens on that port, or there is no way there";
    return { says, likely, where: "path", next };
  }
  if (failure.icmp !== null) {
    const says = `${connects} ${were(count)} refused by ${formatAddress(failure.icmp.by)} (ICMP port unreachable)`;
    const rules = endpointSlicesOf(seen.asked.name) ?? FIREWALL_RULES;
    return { says, ...refuserOf(context, failure.icmp), next: rules };
  }
  const says = `${connects} ${were(count)} refused${seen.bySystemCalls ? " by a reset" : ""}`;
  const likely = isPartly(seen)
    ? "one backend does not listen and is still in rotation"
    : "nothing listens on that port, or a firewall answers for it";
  return { says, likely, where: "far_end", next };
}

/** Who refuses by ICMP: a rule, since a system that has no listener answers a SYN by a reset. */
function refuserOf({ seen, flow }: Context, { by }: Icmp): Pick<Words, "likely" | "where"> {
  const rule = "a rule rejects it: a firewall's, or that of a Service without a ready endpoint";
  if (flow.own !== null && sameAddress(by, flow.own.address)) {
    return { likely: `${rule}, on this machine`, where: "this_machine" };
  }
  const own = sameAddress(by, seen.asked.endpoint.address);
  return { likely: rule, where: own ? "far_end" : "path" };
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

function unreachableWords(context: Context): Words {
  const { seen, flow, failure, connects } = context;
  const { icmp, detail, code } = failure;
  const word = detail === "" ? "" : ` (${detail})`;
  if (code === "no_such_address") return addressWords(context);
  if (code === "not_permitted_here") {
    const says = `this machine does not let ${connects} leave${word}`;
    const likely = "a local firewall forbids it, or the source port is one for root";
    return { says, likely, where: "this_machine", next: FIREWALL_RULES };
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
    return { says, ...tellerOf(context, icmp), next };
  }
  const says = `${connects} found no way there${word}`;
  const likely = "this machine has no route there, or one that forbids it";
  if (detail === "ENODEV") return { says, ...noInterface(seen.asked.endpoint) };
  // Where a route of this machine forbids it there is no end here either, whatever the error.
  if (NO_ROUTE.includes(detail) || flow.own === null) return { says, likely, where: "this_machine", next };
  const gone = "no machine on this link has that address, or a router on the way has no route there";
  return { says, likely: gone, where: "path", next };
}

/** Who says by ICMP that there is no way. */
function tellerOf({ seen, flow }: Context, { by }: Icmp): Pick<Words, "likely" | "where"> {
  if (flow.own !== null && sameAddress(by, flow.own.address)) {
    return { likely: "no machine on this link has that address: it is down, or gone", where: "far_end" };
  }
  if (sameAddress(by, seen.asked.endpoint.address)) {
    return { likely: "a firewall of the far end forbids it", where: "far_end" };
  }
  const router = "a router on the way has no route there, or forbids it";
  return { likely: isPartly(seen) ? ONE_OF_SEVERAL : router, where: "path" };
}

function addressWords({ seen, failure }: Context): Words {
  const { address } = seen.settings.source;
  const from = address === undefined ? "any address of this family" : formatAddress(address);
  return {
    says: `this machine cannot connect from ${from}${failure.detail === "" ? "" : ` (${failure.detail})`}`,
    likely:
      address === undefined
        ? "it has no IPv6, or no IPv4"
        : "that is not one of its own, or of another family",
    where: "this_machine",
    next: "ip address",
  };
}

function timeoutWords({ seen, flow, connects }: Context): Words {
  return {
    says: `${connects} got no answer at all in ${timeText(connectTimeoutMs(seen.settings))}`,
    likely: isPartly(seen)
      ? ONE_OF_SEVERAL
      : "packets are dropped on the way (a firewall, a NetworkPolicy), or the host is gone",
    where: "path",
    next: backendsCommand(seen.asked, flow),
  };
}

function portsWords({ seen, failure }: Context): Words {
  const { endpoint } = seen.asked;
  const { port } = seen.settings.source;
  if (port !== undefined) {
    return {
      says: `source port ${port} is not free for a session to ${formatEndpoint(endpoint)} (${failure.detail})`,
      likely: "another process has it, or its last session was less than a minute ago (TIME-WAIT)",
      where: "this_machine",
      next: portCommand(port),
    };
  }
  return {
    says: `no source port is left for session ${seen.flows.length} to ${formatEndpoint(endpoint)} (${failure.detail})`,
    likely: "this machine has too many sessions to that end, open or in TIME-WAIT",
    where: "this_machine",
    next: sessionsCommand(endpoint),
  };
}

function descriptorsWords({ seen, failure }: Context): Words {
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
