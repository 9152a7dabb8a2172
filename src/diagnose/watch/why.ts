import { DEFAULT_PORTS, type Target } from "../targets.ts";
import { type Explanation, explain } from "./explain.ts";
import type { FlowState } from "./flow-state.ts";
import type { Newcomers, Seen } from "./newcomers.ts";
import { intervalOf, isHeld, type ProbeName, protocolOf, type WatchSettings } from "./settings.ts";

/** Gathers what the flows of a target tell of each other. */

/** Probes of a flow that got no answer when new flows did: fewer may be lost by chance. */
const PROBES_TO_PROVE = 3;

/** What a silent flow has seen itself explains it for so long, and for two timeouts more. */
const RECENT_MS = 3000;

/** A path that loses something more often than this loses the probes of a flow by chance. */
const QUIET_MS = 1000;

export interface KnownFlow {
  readonly name: ProbeName;
  readonly state: FlowState;
}

/** A silence that is looked at; `ownPort` of a held flow. */
export interface Silent {
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly ownPort: number | null;
}

/** What is known beside the flow. */
export interface Surroundings {
  /** All of the target, the silent one among them. */
  readonly flows: readonly KnownFlow[];
  readonly newcomers: Newcomers;
  readonly target: Target;
  readonly settings: WatchSettings;
}

/** Why the flow is silent; null while that is not known. */
export function whySilent(
  { name, state: own }: KnownFlow,
  { sinceMs, nowMs, ownPort }: Silent,
  { flows, newcomers, target, settings }: Surroundings,
): Explanation | null {
  const protocol = protocolOf(name);
  const other = protocol === "udp" ? "tcp" : "udp";
  const latelyMs = Math.max(sinceMs, nowMs - RECENT_MS - 2 * settings.timeoutMs);
  const newcomer = newestOf(newcomers.seenSince(protocol, sinceMs, nowMs), own, latelyMs);
  // Until its first answer, or its first loss, a flow sends nothing more.
  const waitsMs = own.server === null ? settings.timeoutMs : 0;
  const isAnswered = ({ name: flow, state }: KnownFlow, sinceSentMs: number): boolean =>
    isHeld(flow) && protocolOf(flow) === protocol && state.wasAnswered(sinceSentMs);
  return explain({
    protocol,
    ...{ sinceMs, nowMs },
    newcomer,
    otherNewcomer: newcomers.seenSince(other, sinceMs, nowMs),
    answeredSinceMs: newcomers.answeredSince(protocol, Math.max(sinceMs, quietFromMs(flows, own))),
    otherAnsweredSinceMs: newcomers.answeredSince(other, sinceMs),
    provenAfterMs: PROBES_TO_PROVE * intervalOf(name, settings) + waitsMs + newcomers.evidentMs,
    isStream: name === "tcp-held",
    measured: newcomers.measures(protocol),
    otherMeasured: newcomers.measures(other),
    heldIsAnswered: newcomer !== null && flows.some((flow) => isAnswered(flow, newcomer.sentMs)),
    isLate: flows.some(({ state }) => state.wasAnsweredLate(latelyMs)),
    timeoutMs: settings.timeoutMs,
    isNew: !isHeld(name),
    ownPort,
    targetPort: target.port ?? DEFAULT_PORTS[protocol],
    target: target.text,
  });
}

/** From when on a path counts as well, with no other flow that is answered losing anything: on a path that loses now and then nobody is stuck. */
function quietFromMs(flows: readonly KnownFlow[], own: FlowState): number {
  const others = flows.filter(({ state }) => state !== own && !state.isSilent && state.server !== null);
  return QUIET_MS + Math.max(...others.map(({ state }) => state.wellSinceMs));
}

/** What a newcomer has seen; where that is nothing, the flow's own refusal tells more: ICMP is rationed. */
function newestOf(newcomer: Seen | null, own: FlowState, sinceMs: number): Seen | null {
  if (newcomer !== null && newcomer.fate.kind !== "nothing") return newcomer;
  const refusal = own.refusedSince(sinceMs);
  return refusal === null ? newcomer : { fate: { kind: "refused", by: refusal.by }, sentMs: sinceMs };
}
