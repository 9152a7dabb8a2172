import { describe, expect, test } from "bun:test";
import { ADMIN_CLOSES } from "../src/admin/http-connection.ts";
import {
  BANNER_SUPPRESSIONS,
  PROXY_KINDS,
  TCP_CLOSES,
  TCP_REFUSALS,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../src/state/counters.ts";
import { connectMany, TcpClient } from "./clients/tcp.ts";
import { type Metrics, startServer, until } from "./harness.ts";

describe("/metrics", () => {
  test("every counter is there at 0 before its first event", async () => {
    await using server = await startServer();
    const metrics = await server.metrics();
    for (const protocol of ["tcp", "udp"]) {
      for (const name of [
        "sessions_opened_total",
        "sessions_active",
        "received_bytes_total",
        "sent_bytes_total",
      ]) {
        expect(metrics.get(`echo_${name}`, { protocol })).toBe(0);
      }
      expect(metrics.get("echo_session_duration_seconds_count", { protocol })).toBe(0);
      expect(metrics.get("echo_session_duration_seconds_bucket", { protocol, le: "+Inf" })).toBe(0);
    }
    expectZero(metrics, "echo_refused_total", { protocol: "tcp" }, "reason", TCP_REFUSALS);
    expectZero(metrics, "echo_refused_total", { protocol: "udp" }, "reason", UDP_REFUSALS);
    expectZero(metrics, "echo_closed_total", { protocol: "tcp" }, "reason", TCP_CLOSES);
    expectZero(metrics, "echo_closed_total", { protocol: "udp" }, "reason", UDP_CLOSES);
    expectZero(metrics, "echo_dropped_datagrams_total", { protocol: "udp" }, "reason", UDP_DROPS);
    expectZero(metrics, "echo_udp_banners_suppressed_total", {}, "reason", BANNER_SUPPRESSIONS);
    expectZero(metrics, "echo_proxy_headers_total", {}, "kind", PROXY_KINDS);
    for (const name of ["echo_received_datagrams_total", "echo_sent_datagrams_total"]) {
      expect(metrics.get(name, { protocol: "udp" })).toBe(0);
    }
    expect(metrics.get("echo_queued_bytes")).toBe(0);
    expect(metrics.get("echo_worker_restarts_total")).toBe(0);
    expectZero(metrics, "echo_admin_connections_closed_total", {}, "reason", ADMIN_CLOSES);
    expect(metrics.get("echo_admin_connections_active")).toBe(1); // the scrape's own
    expect(metrics.get("echo_log_lines_lost_total")).toBe(0);
    expect(metrics.get("echo_event_loop_lag_seconds", { loop: "0" })).toBeNumber();
    const [info] = [...metrics.samples.keys()].filter((key) => key.startsWith("echo_build_info"));
    expect(info).toContain(`bun="${Bun.version}"`);
    expect(info).toContain(`engine="${server.engine}"`);
    expect(info).toMatch(/reason="[^"]+"/);
    for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"]) {
      expect(metrics.get(name)).toBeGreaterThan(0);
    }
  });

  test("the text is what a scraper takes: every sample under its HELP and TYPE, once", async () => {
    await using server = await startServer();
    const response = await server.fetch("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const seen = new Set<string>();
    let family = "";
    for (const line of (await response.text()).split("\n").filter((line) => line !== "")) {
      const [, declared] = /^# (?:HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (declared !== undefined) {
        family = declared;
        continue;
      }
      const [, sample, name] = /^((\w+)(?:\{.*\})?) -?[\d.e+-]+$/.exec(line) ?? [];
      expect(name).toStartWith(family);
      expect(seen.has(sample!)).toBe(false);
      seen.add(sample!);
    }
    expect(seen.size).toBeGreaterThan(60);
  });
});

describe("/metrics while clients are served", () => {
  test("sessions, bytes and durations are what the client counted, and durations add up", async () => {
    await using server = await startServer(["--no-banner"]);
    const clients = await connectMany(server.tcpPort, 20);
    for (const [at, client] of clients.entries()) {
      client.send("x".repeat(100 * (at + 1)));
      await client.receivedBytes(100 * (at + 1));
    }
    const bytes = 100 * ((20 * 21) / 2);
    const open = await server.metrics();
    expect(open.get("echo_sessions_active", { protocol: "tcp" })).toBe(20);
    expect(open.get("echo_received_bytes_total", { protocol: "tcp" })).toBe(bytes);
    expect(open.get("echo_sent_bytes_total", { protocol: "tcp" })).toBe(bytes);
    expect(open.get("echo_session_duration_seconds_count", { protocol: "tcp" })).toBe(0);
    for (const client of clients) client.halfClose();
    await until(
      "all closed",
      async () => (await server.metrics()).get("echo_sessions_active", { protocol: "tcp" }) === 0,
    );
    const closed = await server.metrics();
    expect(closed.get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(20);
    expect(closed.get("echo_closed_total", { protocol: "tcp", reason: "client" })).toBe(20);
    expect(closed.get("echo_session_duration_seconds_count", { protocol: "tcp" })).toBe(20);
    expect(closed.get("echo_session_duration_seconds_bucket", { protocol: "tcp", le: "3600" })).toBe(20);
    expect(closed.get("echo_session_duration_seconds_sum", { protocol: "tcp" })).toBeGreaterThan(0);
  });

  test("scrapes in the midst of traffic answer, and never count backwards", async () => {
    await using server = await startServer();
    using client = await TcpClient.connect(server.tcpPort);
    const running = new AbortController();
    const traffic = (async () => {
      while (!running.signal.aborted) expect(await client.echoes("ping")).toBe(true);
    })();
    let before = 0;
    for (let scrapes = 0; scrapes < 30; scrapes++) {
      const all = await Promise.all([server.metrics(), server.metrics(), server.metrics()]);
      const bytes = all.map((metrics) => metrics.get("echo_received_bytes_total", { protocol: "tcp" }));
      expect(Math.min(...bytes)).toBeGreaterThanOrEqual(before); // answers to questions asked at once may overtake
      before = Math.max(...bytes);
    }
    running.abort();
    await traffic;
    expect(before).toBeGreaterThan(0);
  });
});

function expectZero(
  metrics: Metrics,
  name: string,
  labels: Record<string, string>,
  label: string,
  values: readonly string[],
): void {
  for (const value of values) expect(metrics.get(name, { ...labels, [label]: value })).toBe(0);
}
