import type { Failure, FailureCode } from "../../../client/failure.ts";
import { formatEndpoint } from "../../../net/endpoint.ts";
import type { Problem } from "../../result.ts";
import { plural } from "../../words.ts";
import { NOT_PERMITTED, noInterface, noSuchAddress } from "../causes.ts";
import { FIREWALL_RULES, routeTo, udpSocketsAt } from "../next.ts";
import { flowOf } from "../phrases.ts";
import type { UdpSeen } from "./seen.ts";

/** Verdicts of what kept this machine from sending. */

type Local = Pick<Problem, "code" | "says" | "likely" | "next">;

export function localProblems(seen: UdpSeen): Problem[] {
  const stopped = seen.flows.find((flow) => flow.notSent !== null && flow.news.length === 0);
  const failure = seen.notOpened ?? stopped?.notSent ?? null;
  if (failure === null) return [];
  const { code, says, likely, next } = localOf(seen, failure);
  const facts = code === "unreachable" || code === "refused" ? { by: null } : {};
  return [{ code, ...facts, flow: flowOf(seen.asked, stopped), says, likely, where: "this_machine", next }];
}

function localOf(seen: UdpSeen, failure: Failure): Local {
  const { asked, flows, settings } = seen;
  const { port } = settings.source;
  const address = noSuchAddress(settings.source.address);
  const how: Partial<Record<FailureCode, Local>> = {
    no_ports_here: {
      code: "no_ports_here",
      says: `after ${plural(flows.length, "flow")} this machine had no source port left`,
      likely: "other sockets hold all ports of the range that is meant for this",
      next: "sysctl net.ipv4.ip_local_port_range",
    },
    port_in_use_here: {
      code: "no_ports_here",
      says: `source port ${port} is in use on this machine`,
      likely: "another program, or another check, has it",
      next: udpSocketsAt(port!),
    },
    no_descriptors_here: {
      code: "no_descriptors_here",
      says: `after ${plural(flows.length, "flow")} no further socket could be opened (${failure.detail})`,
      likely: "this process or this machine is at its limit of open files",
      next: "ulimit -n",
    },
    no_such_address: {
      code: "unreachable",
      says: `this machine cannot send from ${address.from}`,
      ...address.cause,
    },
    refused: {
      code: "refused",
      says: `this machine refuses to send it (${failure.detail})`,
      likely: "a rule of a local firewall rejects it",
      next: FIREWALL_RULES,
    },
    not_permitted_here: {
      code: "unreachable",
      says: `this machine does not let it leave (${failure.detail})`,
      ...NOT_PERMITTED,
    },
  };
  const noWay = {
    code: "unreachable" as const,
    says: `nothing could be sent to ${formatEndpoint(asked.endpoint)} (${failure.detail || failure.code})`,
    likely: "this machine has no route there",
    next: routeTo(asked.endpoint),
    ...(failure.detail === "ENODEV" ? noInterface(asked.endpoint) : {}),
  };
  // A socket that is open has its port: what it then lacks is an address to send from (EADDRNOTAVAIL).
  return seen.notOpened === null && failure.code === "no_ports_here" ? noWay : (how[failure.code] ?? noWay);
}
