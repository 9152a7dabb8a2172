import type { Failure, FailureCode } from "../../../client/failure.ts";
import { formatAddress, sameAddress } from "../../../net/address.ts";
import { formatEndpoint } from "../../../net/endpoint.ts";
import type { Problem, Where } from "../../result.ts";
import { timeText } from "../../words.ts";
import { connectTimeoutMs } from "./flow.ts";
import { captureCommand, endpointsCommand } from "./next.ts";
import { flowOf, shareText, were } from "./phrases.ts";
import { type FlowSeen, isAnswered, type TcpSeen } from "./seen.ts";
import { isSession } from "./sessions.ts";

/** What is wrong with sessions that could not be begun: one problem for each cause. */
export function connectProblems(seen: TcpSeen): Problem[] {
  const failed = seen.flows.flatMap((flow) =>
    flow.failure !== null && !isSession(flow, flow.failure) ? [{ flow, failure: flow.failure }] : [],
  );
  const groups = Map.groupBy(failed, ({ failure }) => `${codeOf(failure)} ${byOf(failure)}`);
  return [...groups.values()].map((group) => problemOf(seen, group));
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

function lookFurther({ seen, flow }: Context): string {
  return endpointsCommand(seen.asked) ?? captureCommand(seen.asked.endpoint, flow.own);
}

function refusedWords(context: Context): Words {
  const { seen, failure, count, connects } = context;
  const partly = isPartly(seen);
  const next = lookFurther(context);
  if (failure.code === "refused_or_unreachable") {
    const says = `${connects} ${were(count)} refused, or found no way there: the sockets of this system do not tell which`;
    return {
      says,
      likely: partly ? ONE_OF_SEVERAL : "nothing listens on that port, or there is no way there",
      where: "path",
      next,
    };
  }
  const { icmp } = failure;
  if (icmp !== null) {
    const own = sameAddress(icmp.by, seen.asked.endpoint.address);
    const says = `${connects} ${were(count)} refused by ${formatAddress(icmp.by)} (ICMP port unreachable)`;
    const service = endpointsCommand(seen.asked) === null ? "" : ", or the Service has no ready Pod";
    const likely = partly ? ONE_OF_SEVERAL : `a firewall rule there rejects it${service}`;
    return { says, likely, where: own ? "far_end" : "path", next };
  }
  const how = seen.bySystemCalls ? " by a reset" : "";
  const says = `${connects} ${were(count)} refused${how}`;
  const likely = partly
    ? "one backend does not listen and is still in rotation"
    : "nothing listens on that port, or a firewall answers for it";
  return { says, likely, where: "far_end", next };
}

/** Errors of connect(2) for which no packet has left. */
const NO_ROUTE = ["ENETUNREACH", "EACCES", "EINVAL", "ENETDOWN", "ENOTFOUND", "EAFNOSUPPORT"];

function unreachableWords(context: Context): Words {
  const { seen, failure, count, connects } = context;
  const { endpoint } = seen.asked;
  const { icmp, detail, code } = failure;
  const word = detail === "" ? "" : ` (${detail})`;
  if (code === "no_such_address") {
    const { address } = seen.settings.source;
    const source = address === undefined ? "the source address" : formatAddress(address);
    const says = `${source} is no address of this machine from which ${formatEndpoint(endpoint)} can be asked${word}`;
    return { says, likely: "a wrong source address", where: "this_machine", next: "ip address" };
  }
  if (icmp !== null) {
    const says = `${connects} met no way there: ${formatAddress(icmp.by)} says so by ICMP${word}`;
    const likely = isPartly(seen)
      ? ONE_OF_SEVERAL
      : "a router has no route, a firewall forbids it, or the host is gone";
    return { says, likely, where: "path", next: traceCommand(seen) };
  }
  if (code === "not_permitted_here") {
    const says = `this machine does not allow ${connects}${word}`;
    return {
      says,
      likely: "a firewall on this machine, or a port below 1024",
      where: "this_machine",
      next: "iptables-save",
    };
  }
  if (code === "fault" || code === "too_big") {
    return {
      says: `${connects} failed${word}`,
      likely: "a fault of this machine",
      where: "this_machine",
      next: null,
    };
  }
  const here: Where = NO_ROUTE.includes(detail) ? "this_machine" : "path";
  const says = `${connects} ${count === 1 ? "has" : "have"} no way there${word}`;
  const likely =
    here === "this_machine"
      ? "this machine has no route there"
      : "nobody has that address on the link, or the host is gone";
  return { says, likely, where: here, next: `ip route get ${formatAddress(endpoint.address)}` };
}

function traceCommand({ asked }: TcpSeen): string {
  return `tracepath -n ${formatAddress(asked.endpoint.address)}`;
}

function timeoutWords(context: Context): Words {
  const { seen, connects } = context;
  return {
    says: `${connects} got no answer at all in ${timeText(connectTimeoutMs(seen.settings))}`,
    likely: isPartly(seen)
      ? ONE_OF_SEVERAL
      : "packets are dropped on the way (a firewall, a NetworkPolicy), or the host is gone",
    where: "path",
    next: lookFurther(context),
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
      next: `ss -tanp 'sport = :${port}'`,
    };
  }
  return {
    says: `no source port is left for session ${seen.flows.length} to ${formatEndpoint(endpoint)} (${failure.detail})`,
    likely: "this machine has too many sessions to that end, open or in TIME-WAIT",
    where: "this_machine",
    next: `ss -tan dst ${formatEndpoint(endpoint)}`,
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
