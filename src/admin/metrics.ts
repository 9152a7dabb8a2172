import type { Registry as RegistryType } from "prom-client";
import Registry from "prom-client/lib/registry.js";
import type { SharedTables } from "../state/shared.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import type { ConnectionCounts } from "./http-server.ts";
import { METRICS } from "./metric-table.ts";
import { adminRows, type LiveRow, register, registerProcess } from "./process-metrics.ts";

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
function processRows(facts: ProcessFacts, connections: ConnectionCounts): LiveRow[] {
  return [
    {
      type: "counter",
      name: "echo_worker_restarts_total",
      help: "Event loops that failed and were replaced.",
      labelNames: [],
      read: () => [{ labels: {}, value: facts.workerRestarts() }],
    },
    ...adminRows(connections, facts.logLinesLost),
  ];
}
