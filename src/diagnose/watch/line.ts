import type { ProblemCode, Where } from "../result.ts";
import type { ExplanationCode } from "./explain.ts";
import type { OutageFigures } from "./outages.ts";
import type { ProbeName } from "./settings.ts";

/** What `watch --json` prints, field by field: one object a line. */

export type EventName =
  /** The first answer of a flow; of `tcp-new` and `udp-new`, the first of each server. */
  | "answered"
  | "moved"
  | "silent"
  | "back"
  | "stuck"
  | "translation"
  | "reset"
  | "closed"
  | "refused"
  | "problem"
  /** The name has other addresses than before. */
  | "resolved";

/** What an event says of its flow. Which fields there are depends on the event; null is "not known". */
export interface Said {
  readonly event: EventName;
  /** In words, without the flow's name. */
  readonly says: string;
  /** Both ends of the flow: `udp 10.244.3.9:40112 > 10.96.0.7:5678`. */
  readonly ends?: string | null;
  readonly server?: string | null;
  readonly pod?: string | null;
  readonly node?: string | null;
  /** Of `moved`: servers. Of `translation`: ends that the server saw. Of a problem: where an answer came from. */
  readonly from?: string | null;
  readonly to?: string | null;
  /** This end, as the server saw it. */
  readonly seen?: string;
  /** Of `silent`: so far. */
  readonly silentMs?: number;
  /** Of `silent` and `back`: when the first probe was sent that got no answer, in seconds since the start. */
  readonly since?: number;
  readonly lost?: number;
  /** Of `back`: how long this process itself did not run meanwhile. */
  readonly notRunningMs?: number;
  /** Of `stuck`: who answers new flows. */
  readonly newServer?: string | null;
  /** Of `silent`: why, as far as that is known. */
  readonly why?: ExplanationCode | null;
  readonly by?: string | null;
  readonly bytes?: number;
  readonly count?: number;
  readonly code?: ProblemCode | "fault";
  readonly likely?: string;
  readonly where?: Where;
  readonly next?: string | null;
  /** Of `resolved`: all that the name has now. */
  readonly addresses?: readonly string[];
}

/** What every line has. */
export interface Stamp {
  /** Seconds since the start, by the monotonic clock. */
  readonly at: number;
  /** RFC 3339, UTC, with milliseconds. */
  readonly time: string;
  /** As it was asked for. */
  readonly target: string;
  /** The address that the flow has; null before the name has one. */
  readonly address: string | null;
}

export interface EventLine extends Stamp, Said {
  readonly flow: ProbeName;
}

/** Who answered from when to when, in seconds since the start. */
export interface ServerSpan {
  readonly server: string | null;
  readonly pod: string | null;
  readonly node: string | null;
  readonly from: number;
  readonly to: number;
}

export interface FlowSummary {
  /** What left: `answered + lost + underWay`. */
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly underWay: number;
  /** Answered after `--timeout`: of UDP counted as lost, of a held session as answered. */
  readonly late: number;
  readonly duplicated: number;
  readonly corrupted: number;
  readonly foreign: number;
  readonly outages: OutageFigures;
  /** The latest; `serversForgotten` older ones are left out. */
  readonly servers: readonly ServerSpan[];
  readonly serversForgotten: number;
  /** Of what was answered. */
  readonly rttMs: {
    readonly min: number;
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  } | null;
}

export interface SummaryLine extends Stamp {
  readonly event: "summary";
  /** False of those that were asked for while the watch goes on. */
  readonly final: boolean;
  readonly seconds: number;
  readonly flows: Readonly<Partial<Record<ProbeName, FlowSummary>>>;
  /** Problems that are no outages, by code, and how often each was seen. */
  readonly problems: Readonly<Record<string, number>>;
  /** Times in which this process did not run, so that probes left late: they are no outages. */
  readonly stalls: { readonly count: number; readonly longestMs: number; readonly totalMs: number };
}

export type Line = EventLine | SummaryLine;
