import { readdirSync, statSync } from "node:fs";
import type { Registry as RegistryType } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import heapSizeAndUsed from "prom-client/lib/metrics/heapSizeAndUsed.js";
import osMemoryHeap from "prom-client/lib/metrics/osMemoryHeap.js";
import processCpuTotal from "prom-client/lib/metrics/processCpuTotal.js";
import processMaxFileDescriptors from "prom-client/lib/metrics/processMaxFileDescriptors.js";
import processStartTime from "prom-client/lib/metrics/processStartTime.js";
import Registry from "prom-client/lib/registry.js";
import type { SharedTables } from "../state/shared.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import { ADMIN_CLOSES } from "./http-connection.ts";
import type { ConnectionCounts } from "./http-server.ts";
import { METRICS, type MetricRow, type Sample } from "./metric-table.ts";

/** Facts for a scrape that are not in the shared tables. */
export interface ProcessFacts {
  readonly version: string;
  readonly engine: string;
  readonly engineReason: string;
  workerRestarts(): number;
  /** Lines of the log that nobody read. */
  logLinesLost(): number;
}

/** Facts of the server's own probe. */
export interface ReadinessFacts {
  isReady(): boolean;
  /** Tries by what came of them. */
  readonly tries: ReadonlyMap<string, number>;
}

/**
 * Every metric of the server. Loops count in shared memory and know nothing of this; the numbers are read and
 * named when somebody scrapes, so an event that never happened has its counter at 0 all the same.
 */
export function makeRegistry(
  tables: SharedTables,
  facts: ProcessFacts,
  readiness: ReadinessFacts,
  connections: ConnectionCounts,
): RegistryType {
  const registry = new Registry();
  for (const row of METRICS) register(registry, row, () => row.read(tables));
  registry.registerMetric(new DurationHistogram(tables));
  for (const row of processRows(facts, connections)) register(registry, row, row.read);
  registerReadiness(registry, readiness);
  const { version, engine, engineReason: reason } = facts;
  const build = { version, bun: Bun.version, engine, reason };
  const info = {
    type: "gauge",
    name: "echo_build_info",
    help: "Version, Bun version and engine of this server, as labels. Always 1.",
    labelNames: Object.keys(build),
  } as const;
  register(registry, info, () => [{ labels: build, value: 1 }]);
  registerProcess(registry);
  return registry;
}

function registerReadiness(registry: RegistryType, readiness: ReadinessFacts): void {
  const ready = {
    type: "gauge",
    name: "echo_ready",
    help: "1 if the server's latest own probe got its echo and the server is not draining, else 0.",
    labelNames: [],
  } as const;
  register(registry, ready, () => [{ labels: {}, value: readiness.isReady() ? 1 : 0 }]);
  const tries = {
    type: "counter",
    name: "echo_probe_total",
    help: "The server's own echo probes, by result. No other metric counts them.",
    labelNames: ["result"],
  } as const;
  register(registry, tries, () =>
    [...readiness.tries].map(([result, value]) => ({ labels: { result }, value })),
  );
}

/** Metrics that the control plane itself counts. */
function processRows(facts: ProcessFacts, connections: ConnectionCounts): ProcessRow[] {
  return [
    {
      type: "counter",
      name: "echo_worker_restarts_total",
      help: "Event loops that failed and were replaced.",
      labelNames: [],
      read: () => [{ labels: {}, value: facts.workerRestarts() }],
    },
    {
      type: "gauge",
      name: "echo_admin_connections_active",
      help: "Connections to the admin port open now.",
      labelNames: [],
      read: () => [{ labels: {}, value: connections.active }],
    },
    {
      type: "counter",
      name: "echo_admin_connections_closed_total",
      help: "Connections to the admin port that the server closed, by reason.",
      labelNames: ["reason"],
      read: () => ADMIN_CLOSES.map((reason) => ({ labels: { reason }, value: connections.closed[reason] })),
    },
    {
      type: "counter",
      name: "echo_log_lines_lost_total",
      help: "Log lines lost because the log was not read fast enough.",
      labelNames: [],
      read: () => [{ labels: {}, value: facts.logLinesLost() }],
    },
  ];
}

type ProcessRow = Omit<MetricRow, "read"> & { readonly read: () => Sample[] };

function register(
  registry: RegistryType,
  { type, name, help, labelNames }: Omit<MetricRow, "read">,
  read: () => Sample[],
): void {
  const configuration = { name, help, labelNames: [...labelNames], registers: [registry] };
  if (type === "gauge") {
    new Gauge({
      ...configuration,
      collect() {
        for (const { labels, value } of read()) this.set(labels, value);
      },
    });
  } else {
    new Counter({
      ...configuration,
      collect() {
        this.reset(); // a counter cannot be set
        for (const { labels, value } of read()) this.inc(labels, value);
      },
    });
  }
}

/**
 * The process's own metrics. Of prom-client's those stay away that cost without a scrape (a 10 ms timer for event
 * loop lag, an observer of the collector) or that tell nothing under Bun.
 */
function registerProcess(registry: RegistryType): void {
  processCpuTotal(registry);
  processStartTime(registry);
  osMemoryHeap(registry);
  heapSizeAndUsed(registry);
  processMaxFileDescriptors(registry);
  if (process.platform !== "linux") return;
  const descriptors = {
    type: "gauge",
    name: "process_open_fds",
    help: "Number of open file descriptors.",
    labelNames: [],
  } as const;
  register(registry, descriptors, () => [{ labels: {}, value: openDescriptors() }]);
}

/**
 * Since Linux 6.2 the size of this directory is the number of its entries; listing 15,000 of them, as prom-client
 * does, would hold up an event loop in this thread for 30 to 100 ms.
 */
function openDescriptors(): number {
  return statSync("/proc/self/fd").size || readdirSync("/proc/self/fd").length - 1;
}
