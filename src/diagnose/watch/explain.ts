import type { Protocol, Where } from "../result.ts";
import { timeText } from "../words.ts";
import type { NewcomerFate, Seen } from "./newcomers.ts";

/** Why a flow gets no answer. */
export type ExplanationCode =
  /** New flows are answered: what the path remembers of this one is stale. */
  | "this_flow"
  /** Flows that were there before are answered: new ones are not. */
  | "new_flows"
  | "refused"
  | "unreachable"
  /** The far end's host is there, and what should echo is not. */
  | "far_end"
  /** The other protocol is answered. */
  | "protocol"
  | "no_name"
  /** Answers come, after the timeout. */
  | "late"
  /** Nothing is answered, by nobody. */
  | "path";

export interface Explanation {
  readonly code: ExplanationCode;
  /** Completes the sentence "it is silent: ...". */
  readonly says: string;
  readonly likely: string;
  readonly where: Where;
  readonly next: string | null;
  readonly newServer?: string | null;
  readonly by?: string | null;
}

/** What is known while a flow is silent. */
export interface Evidence {
  readonly protocol: Protocol;
  /** Since when the flow is silent, and until when it is looked at. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** Null: none was sent since, or its fate is not known yet. */
  readonly newcomer: Seen | null;
  /** A newcomer of the other protocol. */
  readonly otherNewcomer: Seen | null;
  /** When the first newcomer was sent in this silence from which on all were answered; null without such. */
  readonly answeredSinceMs: number | null;
  readonly otherAnsweredSinceMs: number | null;
  /** By when a probe of the flow was sent after such a newcomer, and would have been answered: ms after the newcomer. */
  readonly provenAfterMs: number;
  /** Whether it is a TCP session that is held. */
  readonly isStream: boolean;
  /** Whether newcomers of the flow's own protocol, and of the other one, are sent at all. */
  readonly measured: boolean;
  readonly otherMeasured: boolean;
  /** Whether a held flow of its protocol was answered while the newcomer was not. */
  readonly heldIsAnswered: boolean;
  /** Whether answers came later than the timeout, meanwhile. */
  readonly isLate: boolean;
  readonly timeoutMs: number;
  /** Whether it is a newcomer itself that is silent. */
  readonly isNew: boolean;
  /** Of a held flow: its own port, for the command that removes its entry. */
  readonly ownPort: number | null;
  readonly targetPort: number;
  /** A target for `echo-server check`. */
  readonly target: string;
}

/** Linux waits no longer than that between two retransmissions (TCP_RTO_MAX). */
const RETRANSMISSION_MAX_MS = 120_000;
const RETRANSMISSION_SLACK_MS = 500;

/** Why a flow is silent; null while that is not known. */
export function explain(evidence: Evidence): Explanation | null {
  if (evidence.isLate) return late(evidence);
  const { newcomer, otherNewcomer, measured, answeredSinceMs, otherAnsweredSinceMs } = evidence;
  // Where its own are not sent, the other protocol's newcomers are asked.
  const [seen, answeredMs] = measured ? [newcomer, answeredSinceMs] : [otherNewcomer, otherAnsweredSinceMs];
  if (seen === null) return null;
  if (seen.fate.kind !== "answered") return ofFailed(seen.fate, seen.sentMs, evidence);
  if (evidence.isNew || answeredMs === null || !isProven(answeredMs, evidence)) return null;
  return stuck(seen.fate.server, evidence);
}

/**
 * Whether the flow would be answered by now if nothing but an outage for all had been: a probe of its own must have been
 * sent after a newcomer that was answered. A session is silent for as long again as the path was, by TCP's own back-off.
 */
function isProven(answeredMs: number, { sinceMs, nowMs, provenAfterMs, isStream }: Evidence): boolean {
  const forMs = nowMs - answeredMs;
  const backOffMs = Math.min(answeredMs - sinceMs, RETRANSMISSION_MAX_MS) + RETRANSMISSION_SLACK_MS;
  return forMs >= provenAfterMs && (!isStream || forMs > backOffMs);
}

/** @param sentMs when that newcomer was sent */
function ofFailed(newcomer: NewcomerFate, sentMs: number, evidence: Evidence): Explanation | null {
  switch (newcomer.kind) {
    case "answered":
      return null;
    case "refused":
      return refused(newcomer.by, evidence);
    case "unreachable":
      return unreachable(newcomer.by, evidence);
    case "accepted":
      return farEnd("connections are accepted, and then nothing comes", evidence);
    case "cut":
      return farEnd("connections are accepted, and then ended", evidence);
    case "no_name":
      return noName(evidence);
    case "nothing":
      if (evidence.isNew && evidence.heldIsAnswered) return newFlows();
      return ofOther(sentMs, newcomer.forMs, evidence);
  }
}

/** New flows of this protocol get no answer, the last one sent at `sentMs`: what those of the other one see. */
function ofOther(sentMs: number, forMs: number, evidence: Evidence): Explanation | null {
  const { protocol, otherMeasured, otherNewcomer, otherAnsweredSinceMs } = evidence;
  const own = protocol.toUpperCase();
  const name = protocol === "udp" ? "TCP" : "UDP";
  const other = otherNewcomer?.fate;
  switch (other?.kind) {
    case "answered":
      // One that was answered later than this one was sent may have come when an outage for all was over.
      if (otherAnsweredSinceMs === null || otherAnsweredSinceMs > sentMs) return null;
      return {
        code: "protocol",
        says: `new flows of ${own} get no answer either; ${name} is answered${byWhom(other.server)}`,
        likely: `what serves ${own} there has gone, or the path drops ${own} alone`,
        where: "far_end",
        next: checkOf(evidence),
      };
    case "refused":
    case "accepted":
    case "cut":
      return farEnd(`its host is there by ${name}, and ${own} gets no answer`, evidence);
    case "unreachable":
      return unreachable(other.by, evidence);
    case "no_name":
      return noName(evidence);
    case "nothing":
      return path(
        `no new flow gets an answer, by TCP or UDP (${timeText(Math.max(forMs, other.forMs))})`,
        evidence,
      );
    default:
      return otherMeasured ? null : path(`no new flow of ${own} gets an answer either`, evidence);
  }
}

function stuck(server: string | null, { protocol, ownPort, targetPort }: Evidence): Explanation {
  const ports = ownPort === null ? "" : ` --sport ${ownPort}`;
  return {
    code: "this_flow",
    says: `new flows are answered${byWhom(server)}: this flow alone is stuck`,
    likely: "a stale entry on the path (conntrack, a balancer) still sends it to a server that has gone",
    where: "path",
    next: `conntrack -D -p ${protocol}${ports} --dport ${targetPort}`,
    newServer: server,
  };
}

function refused(by: string | null, evidence: Evidence): Explanation {
  return {
    code: "refused",
    says: `new flows are refused${by === null ? "" : ` by ${by}`}`,
    likely: "the host is there, and nobody listens: its server has gone, or a Service has no endpoints",
    where: "far_end",
    next: checkOf(evidence),
    by,
  };
}

function unreachable(by: string | null, evidence: Evidence): Explanation {
  return {
    code: "unreachable",
    says: by === null ? "there is no way to it from here" : `${by} says that there is no way to it`,
    likely: "the far end's host or its link is gone",
    where: "path",
    next: checkOf(evidence),
    by,
  };
}

function farEnd(says: string, evidence: Evidence): Explanation {
  return {
    code: "far_end",
    says: `the far end is gone: ${says}`,
    likely: `its host answers, and its ${evidence.protocol.toUpperCase()} server is stopped, hung or overloaded`,
    where: "far_end",
    next: checkOf(evidence),
  };
}

function path(says: string, evidence: Evidence): Explanation {
  const hung = evidence.otherMeasured ? "" : ", or its server hangs";
  return {
    code: "path",
    says: `the path is gone for all: ${says}`,
    likely: `a link, a node or the far end's host is down, a filter drops everything and says nothing${hung}`,
    where: "path",
    next: checkOf(evidence),
  };
}

function late({ timeoutMs }: Evidence): Explanation {
  return {
    code: "late",
    says: `answers come, later than --timeout (${timeText(timeoutMs)})`,
    likely: "the path or the far end is slow or overloaded, or --timeout is shorter than a round trip takes",
    where: "path",
    next: null,
  };
}

function newFlows(): Explanation {
  return {
    code: "new_flows",
    says: "flows that were there before are answered: only new ones are not",
    likely:
      "the server drains, new flows go to one that is dead, or the path has no room for entries (conntrack is full)",
    where: "path",
    next: "conntrack -S",
  };
}

function noName(evidence: Evidence): Explanation {
  return {
    code: "no_name",
    says: "the name has no address any more",
    likely: "the name server is not reached, or the name's last endpoint has gone",
    where: "path",
    next: checkOf(evidence),
  };
}

function checkOf({ target }: Evidence): string {
  return `echo-server check ${target}`;
}

function byWhom(server: string | null): string {
  return server === null ? "" : ` by ${server}`;
}
