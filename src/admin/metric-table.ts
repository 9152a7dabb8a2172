import {
  BANNER_SUPPRESSIONS,
  COUNTER,
  countersOf,
  PROXY_KINDS,
  sumColumn,
  TCP_CLOSES,
  TCP_REFUSALS,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../state/counters.ts";
import type { SharedTables } from "../state/shared.ts";

/** One number of a scrape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric whose numbers stand in the shared tables. */
export interface MetricRow {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: (tables: SharedTables) => Sample[];
}

const OPENED = { tcp: COUNTER.tcpOpened, udp: COUNTER.udpOpened } as const;
const CLOSED = { tcp: COUNTER.tcpClosed, udp: COUNTER.udpClosed } as const;

/** Every metric that loops count, except the histogram of session lengths. */
export const METRICS: readonly MetricRow[] = [
  {
    type: "counter",
    name: "echo_sessions_opened_total",
    help: "TCP and UDP sessions opened.",
    labelNames: ["protocol"],
    read: byProtocol(COUNTER.tcpOpened, COUNTER.udpOpened),
  },
  {
    type: "gauge",
    name: "echo_sessions_active",
    help: "TCP and UDP sessions open now.",
    labelNames: ["protocol"],
    read: (tables) => [
      { labels: { protocol: "tcp" }, value: difference(tables, COUNTER.tcpOpened, COUNTER.tcpClosed) },
      { labels: { protocol: "udp" }, value: difference(tables, COUNTER.udpOpened, COUNTER.udpClosed) },
    ],
  },
  {
    type: "counter",
    name: "echo_loop_sessions_opened_total",
    help: "TCP and UDP sessions opened, by event loop. The kernel spreads clients over the loops.",
    labelNames: ["protocol", "loop"],
    read: byLoop((counters, protocol) => counters[OPENED[protocol]]!),
  },
  {
    type: "gauge",
    name: "echo_loop_sessions_active",
    help: "TCP and UDP sessions open now, by event loop.",
    labelNames: ["protocol", "loop"],
    read: byLoop((counters, protocol) =>
      Math.max(0, counters[OPENED[protocol]]! - counters[CLOSED[protocol]]!),
    ),
  },
  {
    type: "counter",
    name: "echo_closed_total",
    help: "TCP and UDP sessions ended, by reason.",
    labelNames: ["protocol", "reason"],
    read: (tables) => [
      ...reasons(tables, COUNTER.tcpClosedBy, TCP_CLOSES, { protocol: "tcp" }),
      ...reasons(tables, COUNTER.udpClosedBy, UDP_CLOSES, { protocol: "udp" }),
    ],
  },
  {
    type: "counter",
    name: "echo_refused_total",
    help: "TCP and UDP sessions refused, by reason.",
    labelNames: ["protocol", "reason"],
    read: (tables) => [
      ...reasons(tables, COUNTER.tcpRefused, TCP_REFUSALS, { protocol: "tcp" }),
      ...reasons(tables, COUNTER.udpRefused, UDP_REFUSALS, { protocol: "udp" }),
    ],
  },
  {
    type: "counter",
    name: "echo_received_bytes_total",
    help: "Payload bytes received from clients, PROXY headers not included.",
    labelNames: ["protocol"],
    read: byProtocol(COUNTER.tcpReceivedBytes, COUNTER.udpReceivedBytes),
  },
  {
    type: "counter",
    name: "echo_sent_bytes_total",
    help: "Payload bytes sent to clients, banners included.",
    labelNames: ["protocol"],
    read: byProtocol(COUNTER.tcpSentBytes, COUNTER.udpSentBytes),
  },
  {
    type: "gauge",
    name: "echo_queued_bytes",
    help: "Bytes queued now for TCP clients that read slowly.",
    labelNames: [],
    read: (tables) => [{ labels: {}, value: sumColumn(tables.counters, COUNTER.tcpQueuedBytes) }],
  },
  {
    type: "counter",
    name: "echo_proxy_headers_total",
    help: "PROXY headers accepted, by kind.",
    labelNames: ["kind"],
    read: (tables) => reasons(tables, COUNTER.proxyHeaders, PROXY_KINDS, {}, "kind"),
  },
  {
    type: "counter",
    name: "echo_proxy_late_total",
    help: "PROXY headers accepted that came after the banner was sent.",
    labelNames: [],
    read: (tables) => [{ labels: {}, value: sumColumn(tables.counters, COUNTER.proxyLate) }],
  },
  {
    type: "counter",
    name: "echo_received_datagrams_total",
    help: "UDP datagrams received, dropped ones included.",
    labelNames: ["protocol"],
    read: ofUdp(COUNTER.udpReceivedDatagrams),
  },
  {
    type: "counter",
    name: "echo_sent_datagrams_total",
    help: "UDP datagrams sent, banners included.",
    labelNames: ["protocol"],
    read: ofUdp(COUNTER.udpSentDatagrams),
  },
  {
    type: "counter",
    name: "echo_sessionless_datagrams_total",
    help: "UDP datagrams echoed without a session and without a banner, because --max-udp-sessions was reached.",
    labelNames: ["protocol"],
    read: ofUdp(COUNTER.udpSessionless),
  },
  {
    type: "counter",
    name: "echo_dropped_datagrams_total",
    help: "UDP datagrams received and not echoed, by reason.",
    labelNames: ["protocol", "reason"],
    read: (tables) => reasons(tables, COUNTER.udpDropped, UDP_DROPS, { protocol: "udp" }),
  },
  {
    type: "counter",
    name: "echo_udp_banners_suppressed_total",
    help: "UDP sessions that got the echo but no banner, by reason.",
    labelNames: ["reason"],
    read: (tables) => reasons(tables, COUNTER.udpBannersSuppressed, BANNER_SUPPRESSIONS, {}),
  },
  {
    type: "gauge",
    name: "echo_event_loop_lag_seconds",
    help: "Delay of each event loop's latest tick, in seconds. High values mean that the loop is overloaded or blocked.",
    labelNames: ["loop"],
    read: (tables) =>
      Array.from({ length: tables.loops }, (_, loop) => ({
        labels: { loop: String(loop) },
        value: countersOf(tables.counters, loop)[COUNTER.loopLagSeconds]!,
      })),
  },
];

/** One sample for TCP and one for UDP. */
function byProtocol(tcp: number, udp: number): MetricRow["read"] {
  return (tables) => [
    { labels: { protocol: "tcp" }, value: sumColumn(tables.counters, tcp) },
    { labels: { protocol: "udp" }, value: sumColumn(tables.counters, udp) },
  ];
}

/** One sample for each loop and each protocol that it serves. */
function byLoop(read: (counters: Float64Array, protocol: "tcp" | "udp") => number): MetricRow["read"] {
  return ({ serves, counters }) =>
    (["tcp", "udp"] as const).flatMap((protocol) =>
      serves.flatMap((serve, loop) => {
        if (!serve[protocol]) return [];
        return [
          { labels: { protocol, loop: String(loop) }, value: read(countersOf(counters, loop), protocol) },
        ];
      }),
    );
}

function ofUdp(column: number): MetricRow["read"] {
  return (tables) => [{ labels: { protocol: "udp" }, value: sumColumn(tables.counters, column) }];
}

/** One sample for each reason, whose counters stand side by side from `first` on. */
function reasons(
  tables: SharedTables,
  first: number,
  names: readonly string[],
  labels: Sample["labels"],
  label = "reason",
): Sample[] {
  return names.map((name, at) => ({
    labels: { ...labels, [label]: name },
    value: sumColumn(tables.counters, first + at),
  }));
}

/** Loops go on counting between two reads, so a difference could come out negative for a moment. */
function difference(tables: SharedTables, opened: number, closed: number): number {
  return Math.max(0, sumColumn(tables.counters, opened) - sumColumn(tables.counters, closed));
}
