import type { FlowKey } from "../../client/payload.ts";
import type { Quantiles } from "../../client/round-trips.ts";
import type { Sockets } from "../../client/sockets.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { Agenda } from "../agenda.ts";
import type { Explanation } from "./explain.ts";
import type { FlowState } from "./flow-state.ts";
import type { Newcomers } from "./newcomers.ts";
import type { BookFigures } from "./outages.ts";
import type { ProbeName, WatchSettings } from "./settings.ts";

/** Payload of every probe: enough to name its run, flow and number, and to tell a changed byte. */
export const PAYLOAD_BYTES = 64;

/** What one probe of a target works with. */
export interface ProbeContext {
  readonly name: ProbeName;
  readonly settings: WatchSettings;
  readonly sockets: Sockets;
  readonly agenda: Agenda;
  readonly state: FlowState;
  readonly newcomers: Newcomers;
  /** Another one at each call. */
  newKey(): FlowKey;
  /** The address that held flows keep; null before the name has one. */
  heldEnd(): Endpoint | null;
  /** The address that a newcomer takes now; null where the name has none, which is then said. */
  resolve(): Promise<Endpoint | null>;
  /** The address that this machine goes there from; null where there is no way. */
  ownAddress(end: Endpoint): Promise<Endpoint | null>;
  /** Why the flow is silent since then; null while that is not known. @param ownPort of a held flow */
  why(sinceMs: number, nowMs: number, ownPort: number | null): Explanation | null;
}

/** Counts of one probe so far. */
export interface ProbeFigures extends BookFigures {
  readonly duplicated: number;
  readonly corrupted: number;
  readonly foreign: number;
  readonly rttMs: Quantiles | null;
}

/**
 * How long an answer took: as the kernel stamped its arrival, or, where this process read the clock itself, without the
 * time in which it did not run.
 */
export function tookMs({ agenda, sockets }: ProbeContext, sentMs: number, atMs: number): number {
  if (sockets.bySystemCalls) return atMs - sentMs;
  return agenda.stalls.awakeAt(atMs) - agenda.stalls.awakeAt(sentMs);
}

/** One of the five, at work. */
export interface Probe {
  /** It is time for the next one. */
  due(nowMs: number): void;
  /**
   * Judges what is lost and who is silent. Called when all that had come was read.
   * @param untilMs now, or when the last probe could be sent: who is not asked is not silent
   */
  look(nowMs: number, untilMs: number): void;
  /** @param untilMs as above: an outage that goes on is measured until then */
  figures(nowMs: number, untilMs: number): ProbeFigures;
  /** Sends no more, and waits no more. */
  end(): Promise<void>;
}
