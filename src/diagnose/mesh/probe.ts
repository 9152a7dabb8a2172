import type { Failure, FailureCode } from "../../client/failure.ts";
import type { FlowKey } from "../../client/payload.ts";
import type { Sockets } from "../../client/sockets.ts";
import type { Banner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { Agenda } from "../agenda.ts";
import type { Identity } from "./identity.ts";
import type { MeshQuestion, ProbeFault, ProbeName, ProbeSeen } from "./seen.ts";

/** Payload of every probe: enough to name its run, flow and number, and to tell a changed byte. */
export const PAYLOAD_BYTES = 64;

/**
 * A held flow that was not answered so often in a row is given up, and the next probe goes by a new one. A path may hold
 * on to what it remembers of a flow for as long as the flow sends (conntrack's entries live on with each datagram), and a
 * session waits between its retransmissions for as long again as the path was gone: the pair would be down long after it
 * is well. Two are what makes a pair down, so a flow that is stuck is seen, with its ends, before it is given up.
 */
export const SILENT_MAX = 2;

/** Probes of one kind under way at most, however long the timeout is and short the interval. */
export const UNDER_WAY_MAX = 64;

/** What the probes of a peer work with. */
export interface ProbeContext {
  /** The peer's address. */
  readonly peer: string;
  readonly question: MeshQuestion;
  readonly sockets: Sockets;
  readonly agenda: Agenda;
  readonly identity: Identity;
  /** Another one at each call. */
  newKey(): FlowKey;
  /** Where this machine goes there from, its port being nobody's; null where there is no way. */
  ownEnd(): Promise<Endpoint | null>;
  tell(seen: ProbeSeen): void;
}

/** One of a peer's three. */
export interface PeerProbe {
  /** It is time for the next one. */
  due(): void;
  /** Judges whose time is up. Called when all that had come was read. */
  look(nowMs: number): void;
  /** Closes what is open, at once, and tells no more. */
  end(): void;
}

/** What became of a probe, and the rest what it is by default: not known, or none. */
export interface Outcome
  extends Partial<
    Pick<ProbeSeen, "rttMs" | "connectMs" | "hops" | "duplicated" | "reordered" | "corrupted" | "flow">
  > {
  readonly fault: ProbeFault | null;
  readonly sentMs: number;
  /** Whether anything left. */
  readonly isSent: boolean;
  readonly banner: Banner | null;
  /** Who answered, where it was not the end that was asked. */
  readonly stranger?: Endpoint;
}

/** A probe that stayed here, since connects before it are still without an answer (`Restraint`). */
export function heldBack(sentMs: number): Outcome {
  return { fault: "timeout", sentMs, isSent: false, banner: null };
}

/** Those who were answered, by whomever, are not lost. Who got something else in place of an echo counts as that. */
const NOT_LOST = new Set<ProbeFault | null>([null, "other_server", "no_banner", "corrupted"]);

/** An outcome as it is told. @param atMs ms since 1970 */
export function seenOf(
  peer: string,
  probe: ProbeName,
  { fault, isSent, banner, stranger, ...rest }: Outcome,
  atMs: number,
): ProbeSeen {
  const server = stranger ?? banner?.server ?? null;
  return {
    ...{ peer, probe, atMs, fault },
    server: server === null ? null : formatEndpoint(server),
    ...{ rttMs: null, connectMs: null, hops: null },
    sent: isSent ? 1 : 0,
    lost: isSent && !NOT_LOST.has(fault) ? 1 : 0,
    ...{ duplicated: 0, reordered: 0, corrupted: 0, flow: null },
    ...rest,
  };
}

const FAULTS: Readonly<Record<FailureCode, ProbeFault>> = {
  refused: "refused",
  refused_or_unreachable: "refused",
  unreachable: "unreachable",
  timeout: "timeout",
  silent: "silent",
  reset: "reset",
  closed: "closed",
  corrupted: "corrupted",
  no_ports_here: "no_ports_here",
  port_in_use_here: "no_ports_here",
  no_descriptors_here: "no_descriptors_here",
  no_buffers_here: "no_descriptors_here",
  // There is no way from here: no address of that version, a firewall of this machine's own, a route that forbids it.
  no_such_address: "unreachable",
  not_permitted_here: "unreachable",
  too_big: "unreachable",
  fault: "unreachable",
  // Given up here, since time was up.
  aborted: "timeout",
  ended: "timeout",
};

/** What a failure is called. */
export function faultOf({ code }: Failure): ProbeFault {
  return FAULTS[code];
}

/** Whether something left this machine before it failed so. */
export function isSent(failure: Failure): boolean {
  const { code } = failure;
  return !code.endsWith("_here") && code !== "no_such_address";
}

/**
 * How long an answer took: as the kernel stamped its arrival, or, where this process read the clock itself, without the
 * time in which it did not run.
 */
export function tookMs({ agenda, sockets }: ProbeContext, sentMs: number, atMs: number): number {
  if (sockets.bySystemCalls) return atMs - sentMs;
  return agenda.stalls.awakeAt(atMs) - agenda.stalls.awakeAt(sentMs);
}

/** Whether something sent then had all its time by now, not counting the time in which this process did not run. */
export function isOverdue({ agenda, question }: ProbeContext, sentMs: number, nowMs: number): boolean {
  return agenda.stalls.awakeAt(nowMs) - agenda.stalls.awakeAt(sentMs) > question.timeoutMs;
}
