import type { Counts } from "../generator/job.ts";
import type { HostPort } from "../kinds.ts";

/** One measurement of a scenario: who says how much, how often. */
export interface Cell {
  /** Scenario's name, `tcp-ping`. */
  readonly scenario: string;
  readonly protocol: "tcp" | "udp";
  readonly mode: "echo" | "churn" | "idle";
  readonly connections: number;
  /** Payload bytes of a message. */
  readonly size: number;
  /** Messages under way: per session for TCP, over all sessions for UDP. */
  readonly inFlight: number;
  /** Messages a second, sent at their times; 0: as fast as answers come. */
  readonly rate: number;
}

/** How a run measures, whatever the scenario. */
export interface Timing {
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Messages after which a cell ends, if its time is not over before; 0: no such number. */
  readonly requests: number;
  /** Load Workers; the cell's sessions and rate are divided among them. */
  readonly workers: number;
}

/** Times in microseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** A moment of a run: rates over the time since the sample before it. */
export interface Sample {
  /** Seconds since the first. */
  readonly at: number;
  readonly messagesPerSecond: number;
  /** Of one core, 1 being all of it; null where the server is elsewhere. */
  readonly serverCpu: number | null;
  readonly serverRssMb: number | null;
}

/** Of the time measured, 1 being all of it: how long a side ran, and how long it waited for a core. */
export interface CoreShare {
  readonly used: number;
  readonly waited: number;
}

/** What can be said of a cell. */
export interface Verdict {
  /** Every message came back as it was sent, once, in order, to where it came from; null: that could not be measured. */
  readonly exact: boolean | null;
  /** Why it is not true; empty where it is. */
  readonly reasons: readonly string[];
  /** Why the figures are those of the load or of the machine, and not the server's; among the reasons too. */
  readonly limits: readonly string[];
  /** What a reader must know before believing a figure. */
  readonly notes: readonly string[];
}

export interface CellResult extends Counts, Verdict {
  readonly cell: Cell;
  /** Sessions that were open. */
  readonly sessions: number;
  readonly messages: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Messages that were sent in all, warm-up included. */
  readonly sent: number;
  /** Null where no message came back. */
  readonly roundTrip: Percentiles | null;
  /** How long after their time messages were sent, by the load's fault; null without `rate`. */
  readonly sentLate: Percentiles | null;
  /** Percentile and round trip in microseconds, for drawing; as far as there are messages beyond it. */
  readonly curve: readonly (readonly [number, number])[];
  /** Server CPU, user and system, in microseconds per message; null where the server is elsewhere. */
  readonly serverCpuMicros: number | null;
  /** The two parts of it: outside the kernel and inside, by how often the kernel's tick saw each (`process-stats.ts`). */
  readonly serverUserMicros: number | null;
  readonly serverSystemMicros: number | null;
  readonly serverRssMb: number | null;
  /** Growth of the server's own (anonymous) resident memory per session, in bytes; idle scenarios only. */
  readonly rssPerSession: number | null;
  /** The server's CPU share while sessions idle; idle scenarios only. */
  readonly idleCpu: number | null;
  /** CPU share of the busiest load Worker, 1 being a whole core. */
  readonly loadCpu: number;
  /** The two sides and their cores; null where the server is elsewhere. */
  readonly serverCore: CoreShare | null;
  readonly loadCore: CoreShare;
  readonly samples: readonly Sample[];
}

/** Where load goes. `pid` is there where the server runs on this machine and can be watched. */
export interface Target {
  readonly name: string;
  /** IP literals; null where a protocol is not served. */
  readonly tcp: HostPort | null;
  readonly udp: HostPort | null;
  readonly pid: number | null;
  /** The address that sessions come from, an IP literal; null: as the system chooses. */
  readonly source: string | null;
}
