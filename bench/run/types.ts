import type { Faults } from "../generator/job.ts";

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
  /** Load Workers; the cell's sessions and rate are divided among them. */
  readonly workers: number;
}

/** Round trips in microseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
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

export interface CellResult extends Faults {
  readonly cell: Cell;
  /** Sessions that were open. */
  readonly sessions: number;
  readonly messages: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Null where no message came back. */
  readonly roundTrip: Percentiles | null;
  /** Percentile and round trip in microseconds, for drawing. */
  readonly curve: readonly (readonly [number, number])[];
  /** Server CPU, user and system, in microseconds per message; null where the server is elsewhere. */
  readonly serverCpuMicros: number | null;
  readonly serverRssMb: number | null;
  /** Growth of the server's own (anonymous) resident memory per session, in bytes; idle scenarios only. */
  readonly rssPerSession: number | null;
  /** The server's CPU share while sessions idle; idle scenarios only. */
  readonly idleCpu: number | null;
  /** CPU share of the busiest load Worker, 1 being a whole core. */
  readonly loadCpu: number;
  readonly samples: readonly Sample[];
}

/** Where load goes. `pid` is there where the server runs on this machine and can be watched. */
export interface Target {
  readonly name: string;
  readonly host: string;
  readonly tcpPort: number | null;
  readonly udpPort: number | null;
  readonly pid: number | null;
}
