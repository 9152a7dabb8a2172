import type { Registry as RegistryType } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import heapSizeAndUsed from "prom-client/lib/metrics/heapSizeAndUsed.js";
import osMemoryHeap from "prom-client/lib/metrics/osMemoryHeap.js";
import processCpuTotal from "prom-client/lib/metrics/processCpuTotal.js";
import processMaxFileDescriptors from "prom-client/lib/metrics/processMaxFileDescriptors.js";
import processOpenFileDescriptors from "prom-client/lib/metrics/processOpenFileDescriptors.js";
import processStartTime from "prom-client/lib/metrics/processStartTime.js";
import Registry from "prom-client/lib/registry.js";
import {
  BANNER_SUPPRESSIONS,
  C,
  counterRow,
  DURATION_BOUNDS_S,
  PROXY_KINDS,
  sumColumn,
  TCP_CLOSES,
  TCP_REFUSALS,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../rules/counters.ts";
import type { SharedTables } from "../rules/shared.ts";

/** What of a scrape does not stand in the shared tables. */
export interface ProcessFacts {
  readonly version: string;
  readonly engine: string;
  readonly engineReason: string;
  workerRestarts(): number;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Every metric of the server. Loops count in shared memory and know nothing of this; the numbers are read and
 * named when somebody scrapes, so an event that never happened has its counter at 0 all the same.
 *
 * Of prom-client's own process metrics those stay away that cost without a scrape (a 10 ms timer for event loop
 * lag, an observer of the collector) or that Bun does not have.
 */
export function makeRegistry(tables: SharedTables, facts: ProcessFacts): RegistryType {
  const registry = new Registry();
  const sum = (column: number): number => sumColumn(tables.counters, column);

  const counter = (name: string, help: string, labelNames: string[], samples: () => Sample[]): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, value } of samples()) this.inc(labels, value);
      },
    });
  };
  const gauge = (name: string, help: string, labelNames: string[], samples: () => Sample[]): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        for (const { labels, value } of samples()) this.set(labels, value);
      },
    });
  };

  /** One sample for TCP and one for UDP. */
  const both = (tcp: number, udp: number) => (): Sample[] => [
    { labels: { protocol: "tcp" }, value: sum(tcp) },
    { labels: { protocol: "udp" }, value: sum(udp) },
  ];
  /** One sample for each reason, whose counters stand side by side from `first` on. */
  const reasons = (protocol: string, names: readonly string[], first: number): Sample[] =>
    names.map((reason, at) => ({ labels: { protocol, reason }, value: sum(first + at) }));
  const active = (opened: number, closed: number): number => Math.max(0, sum(opened) - sum(closed));

  counter("echo_sessions_opened_total", "Sessions admitted.", ["protocol"], both(C.tcpOpened, C.udpOpened));
  gauge("echo_sessions_active", "Sessions open now.", ["protocol"], () => [
    { labels: { protocol: "tcp" }, value: active(C.tcpOpened, C.tcpClosed) },
    { labels: { protocol: "udp" }, value: active(C.udpOpened, C.udpClosed) },
  ]);
  counter("echo_closed_total", "Sessions ended, by how.", ["protocol", "reason"], () => [
    ...reasons("tcp", TCP_CLOSES, C.tcpClosedBy),
    ...reasons("udp", UDP_CLOSES, C.udpClosedBy),
  ]);
  counter("echo_refused_total", "Sessions turned away, by why.", ["protocol", "reason"], () => [
    ...reasons("tcp", TCP_REFUSALS, C.tcpRefused),
    ...reasons("udp", UDP_REFUSALS, C.udpRefused),
  ]);
  counter(
    "echo_received_bytes_total",
    "Payload bytes received, without PROXY headers.",
    ["protocol"],
    both(C.tcpReceivedBytes, C.udpReceivedBytes),
  );
  counter(
    "echo_sent_bytes_total",
    "Payload bytes sent, banners included.",
    ["protocol"],
    both(C.tcpSentBytes, C.udpSentBytes),
  );
  gauge("echo_queued_bytes", "Bytes kept now for slow TCP readers.", [], () => [
    { labels: {}, value: sum(C.tcpQueuedBytes) },
  ]);
  counter("echo_proxy_headers_total", "PROXY headers believed, by kind.", ["kind"], () =>
    PROXY_KINDS.map((kind, at) => ({ labels: { kind }, value: sum(C.proxyHeaders + at) })),
  );
  const udp = (column: number) => (): Sample[] => [{ labels: { protocol: "udp" }, value: sum(column) }];
  counter(
    "echo_received_datagrams_total",
    "Datagrams received, those dropped included.",
    ["protocol"],
    udp(C.udpReceivedDatagrams),
  );
  counter(
    "echo_sent_datagrams_total",
    "Datagrams sent, banners included.",
    ["protocol"],
    udp(C.udpSentDatagrams),
  );
  counter("echo_dropped_datagrams_total", "Datagrams not echoed, by why.", ["protocol", "reason"], () =>
    reasons("udp", UDP_DROPS, C.udpDropped),
  );
  counter(
    "echo_udp_banners_suppressed_total",
    "UDP sessions that got the echo but no banner, by why.",
    ["reason"],
    () =>
      BANNER_SUPPRESSIONS.map((reason, at) => ({
        labels: { reason },
        value: sum(C.udpBannersSuppressed + at),
      })),
  );
  registry.registerMetric(new DurationHistogram(tables));
  gauge("echo_event_loop_lag_seconds", "How late each event loop's last tick was.", ["loop"], () =>
    Array.from({ length: tables.loops }, (_, loop) => ({
      labels: { loop: String(loop) },
      value: counterRow(tables.counters, loop)[C.loopLagSeconds]!,
    })),
  );
  counter("echo_worker_restarts_total", "Event loops that died of a fault and were replaced.", [], () => [
    { labels: {}, value: facts.workerRestarts() },
  ]);
  gauge("echo_build_info", "Always 1.", ["version", "bun", "engine", "reason"], () => [
    {
      labels: { version: facts.version, bun: Bun.version, engine: facts.engine, reason: facts.engineReason },
      value: 1,
    },
  ]);

  const processMetrics = [
    processCpuTotal,
    processStartTime,
    osMemoryHeap,
    heapSizeAndUsed,
    processOpenFileDescriptors,
    processMaxFileDescriptors,
  ];
  for (const register of processMetrics) register(registry);
  return registry;
}

/** A histogram whose buckets were counted elsewhere: prom-client's own can only be given one value after another. */
class DurationHistogram extends Histogram<string> {
  readonly #tables: SharedTables;

  constructor(tables: SharedTables) {
    super({
      name: "echo_session_duration_seconds",
      help: "How long sessions lasted.",
      labelNames: ["protocol"],
      buckets: [...DURATION_BOUNDS_S],
      registers: [],
    });
    this.#tables = tables;
  }

  /** What the registry asks for at a scrape; not in prom-client's types. */
  async getForPromString(): Promise<object> {
    return {
      name: "echo_session_duration_seconds",
      help: "How long sessions lasted.",
      type: "histogram",
      values: [...this.#values("tcp", C.tcpDuration), ...this.#values("udp", C.udpDuration)],
    };
  }

  #values(protocol: string, first: number): object[] {
    const sum = (at: number): number => sumColumn(this.#tables.counters, first + at);
    const name = "echo_session_duration_seconds";
    let count = 0;
    const buckets = [...DURATION_BOUNDS_S, "+Inf"].map((le, at) => {
      count += sum(at);
      return { metricName: `${name}_bucket`, labels: { protocol, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { protocol }, value: sum(DURATION_BOUNDS_S.length + 1) },
      { metricName: `${name}_count`, labels: { protocol }, value: count },
    ];
  }
}
