import { readdirSync, statSync } from "node:fs";
import type { Registry as RegistryType } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import heapSizeAndUsed from "prom-client/lib/metrics/heapSizeAndUsed.js";
import osMemoryHeap from "prom-client/lib/metrics/osMemoryHeap.js";
import processCpuTotal from "prom-client/lib/metrics/processCpuTotal.js";
import processMaxFileDescriptors from "prom-client/lib/metrics/processMaxFileDescriptors.js";
import processStartTime from "prom-client/lib/metrics/processStartTime.js";
import { ADMIN_CLOSES } from "./http-connection.ts";
import type { ConnectionCounts } from "./http-server.ts";
import type { MetricRow, Sample } from "./metric-table.ts";

/** Metrics that every process of this program with an admin port has: its own, and those of that port. */

/** A metric whose numbers are to be had at any time. */
export type LiveRow = Omit<MetricRow, "read"> & { readonly read: () => Sample[] };

/** Metrics of the admin port and of the log. */
export function adminRows(connections: ConnectionCounts, logLinesLost: () => number): LiveRow[] {
  return [
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
      read: () => [{ labels: {}, value: logLinesLost() }],
    },
  ];
}

/** Adds a metric to a registry: `read` is asked at each scrape, and what it no longer tells is gone. */
export function register(
  registry: RegistryType,
  { type, name, help, labelNames }: Omit<MetricRow, "read">,
  read: () => Sample[],
): void {
  const configuration = { name, help, labelNames: [...labelNames], registers: [registry] };
  if (type === "gauge") {
    new Gauge({
      ...configuration,
      collect() {
        this.reset(); // samples that have gone go
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
export function registerProcess(registry: RegistryType): void {
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
