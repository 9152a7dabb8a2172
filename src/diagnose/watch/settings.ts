import type { Protocol } from "../result.ts";

/** The five probes, in the order in which they are listed everywhere. */
export const PROBES = ["tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new"] as const;

export type ProbeName = (typeof PROBES)[number];

/** How a watch is run. All times in ms. Plain data: it goes to a Worker by message. */
export interface WatchSettings {
  /** From one probe's sending to the next one's. */
  readonly intervalMs: number;
  /** A probe that was not answered by then is lost. */
  readonly timeoutMs: number;
  /** Null: until somebody ends it. */
  readonly durationMs: number | null;
  /** The longest outage that is still well. */
  readonly maxOutageMs: number;
  readonly probes: readonly ProbeName[];
  /** Null: a summary at the end alone. */
  readonly summaryEveryMs: number | null;
}

/** Newcomers come once in so long, or once an interval where that is longer: they cost the path a new flow each. */
const NEW_FLOW_MS = 1000;

/** A flow is called silent after so long at least: a shorter silence may be one lost datagram. */
const SILENT_MS = 1000;
const SILENT_INTERVALS = 3;

export function protocolOf(probe: ProbeName): Protocol {
  return probe.startsWith("tcp") ? "tcp" : "udp";
}

/** Whether all its probes go by one flow; if not, each is a new one. */
export function isHeld(probe: ProbeName): boolean {
  return !probe.endsWith("-new");
}

/** From one sending of this probe to the next, ms. */
export function intervalOf(probe: ProbeName, { intervalMs }: WatchSettings): number {
  return isHeld(probe) ? intervalMs : Math.max(intervalMs, NEW_FLOW_MS);
}

/** How long this probe gets no answer before it is called silent, ms. */
export function silentAfterMs(probe: ProbeName, settings: WatchSettings): number {
  return Math.max(SILENT_INTERVALS * intervalOf(probe, settings), SILENT_MS);
}
