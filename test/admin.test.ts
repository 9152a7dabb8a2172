import { describe, expect, test } from "bun:test";
import { dialable } from "../src/admin/endpoint.ts";
import { liveness } from "../src/admin/health.ts";
import { renderPage } from "../src/admin/page.ts";
import { type ProxySettings, probeTcp } from "../src/admin/probe-tcp.ts";
import { UdpProbe } from "../src/admin/probe-udp.ts";
import { Clock } from "../src/rules/clock.ts";
import {
  BANNER_SUPPRESSIONS,
  C,
  counterRow,
  PROXY_KINDS,
  TCP_CLOSES,
  TCP_REFUSALS,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../src/rules/counters.ts";
import { makeSharedTables } from "../src/rules/shared.ts";
import { type Metrics, startServer, until } from "./harness.ts";

/** Opens a TCP session, sends, and returns when so many bytes came back in all. */
async function talk(port: number, text: string, bytes: number): Promise<Bun.Socket> {
  let received = 0;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, chunk) {
        received += chunk.length;
      },
    },
  });
  socket.write(text);
  await until(`${bytes} bytes`, () => received >= bytes);
  return socket;
}

describe("paths and methods", () => {
  test("health, metrics and page answer; all else is a plain 404, other methods a 405", async () => {
    await using server = await startServer();
    for (const path of ["/livez", "/readyz", "/metrics", "/", "/livez?verbose", "/metrics?x=1#y"]) {
      const response = await server.fetch(path);
      expect([path, response.status]).toEqual([path, 200]);
      expect((await response.text()).length).toBeGreaterThan(0);
    }
    for (const path of ["/healthz", "/metrics/", "/index.html", "/%2e%2e/etc/passwd"]) {
      const response = await server.fetch(path);
      expect([path, response.status]).toEqual([path, 404]);
      expect(response.headers.get("content-type")).toStartWith("text/plain");
      expect(await response.text()).toBe("not found\n");
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await server.fetch("/readyz", { method });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, HEAD");
    }
    const head = await server.fetch("/livez", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
  });

  test("it listens on each host, on one port, or not at all", async () => {
    await using both = await startServer(["--admin-host", "127.0.0.1", "--admin-host", "::1"]);
    for (const host of ["127.0.0.1", "[::1]"]) {
      expect(await (await fetch(`http://${host}:${both.adminPort}/livez`)).text()).toBe("live\n");
    }
    await using off = await startServer(["--admin-port", "off"]);
    expect(off.admin).toEqual([]);
  });
});

describe("/readyz", () => {
  test("each protocol alone, and both", async () => {
    for (const args of [
      ["--udp-port", "off"],
      ["--tcp-port", "off"],
      [],
      ["--no-banner"],
      ["--host", "::1"],
    ]) {
      await using server = await startServer(args);
      const response = await server.fetch("/readyz");
      expect([args, response.status, await response.text()]).toEqual([args, 200, "ready\n"]);
      const metrics = await server.metrics();
      const opened = (protocol: string) => metrics.get("echo_sessions_opened_total", { protocol });
      expect(opened("tcp")).toBe(args.includes("--tcp-port") ? 0 : 1);
      expect(opened("udp")).toBe(args.includes("--udp-port") ? 0 : 1);
    }
  });

  test("speaks the PROXY protocol where it must, and takes a refusal for life where it is not trusted", async () => {
    for (const [mode, trusted] of [
      ["accept", "any"],
      ["require", "any"],
      ["require", "10.0.0.0/8"],
    ] as const) {
      await using server = await startServer([
        "--proxy-protocol",
        mode,
        "--proxy-trusted",
        trusted,
        "--udp-port",
        "off",
      ]);
      expect(await (await server.fetch("/readyz")).text()).toBe("ready\n");
      const metrics = await server.metrics();
      const believed = mode === "require" && trusted === "any" ? 1 : 0;
      expect(metrics.get("echo_proxy_headers_total", { kind: "local" })).toBe(believed);
      expect(metrics.get("echo_refused_total", { protocol: "tcp", reason: "proxy_missing" })).toBe(0);
    }
  });

  test("says no, and why, while newcomers are refused; and yes again after", async () => {
    await using server = await startServer(["--max-tcp-sessions", "1", "--udp-port", "off"]);
    const socket = await talk(server.tcpPort, "x", 1);
    const full = await server.fetch("/readyz");
    expect(full.status).toBe(503);
    expect(await full.text()).toStartWith("not ready: tcp: ");
    expect((await server.fetch("/livez")).status).toBe(200);
    socket.end();
    await until("ready again", async () => (await server.fetch("/readyz")).status === 200);
  });

  test("many who ask at once share one try", async () => {
    await using server = await startServer();
    const asked = Array.from({ length: 100 }, () => server.fetch("/readyz"));
    for (const response of await Promise.all(asked)) expect(response.status).toBe(200);
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_opened_total", { protocol: "tcp" })).toBeWithin(1, 20);
    expect(metrics.get("echo_sessions_opened_total", { protocol: "udp" })).toBe(1); // one kept socket
  });
});

describe("the probes", () => {
  test("TCP: nobody there, nobody at home, no echo, an early end", async () => {
    const off: ProxySettings = { proxyProtocol: "off", proxyTrusted: [] };
    const stranger: ProxySettings = { proxyProtocol: "require", proxyTrusted: ["10.0.0.0/8"] };
    using closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = closed;
    closed.stop(true);
    const refused = await probeTcp({ hostname: "127.0.0.1", port }, off, 5000);
    expect(refused).toStartWith("cannot connect");

    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const target = { hostname: "127.0.0.1", port: silent.port };
    expect(await probeTcp(target, off, 50)).toBe("no echo within 50 ms");
    expect(await probeTcp(target, stranger, 50)).toBe("no echo within 50 ms");

    using babbling = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.write("x".repeat(5000)) },
    });
    const babble = { hostname: "127.0.0.1", port: babbling.port };
    expect(await probeTcp(babble, off, 5000)).toBe("something else than an echo came back");

    using rude = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (s) => s.terminate(), data() {} },
    });
    const end = { hostname: "127.0.0.1", port: rude.port };
    expect(await probeTcp(end, off, 5000)).toBe("the connection was closed before the echo");
    const trusted: ProxySettings = { proxyProtocol: "require", proxyTrusted: ["127.0.0.0/8"] };
    expect(await probeTcp(end, trusted, 5000)).toBe("the connection was closed before the echo");
    expect(await probeTcp(end, stranger, 5000)).toBeNull();
  });

  test("UDP: nobody there, another's words, a lost datagram", async () => {
    const gone = await Bun.udpSocket({ hostname: "127.0.0.1", socket: {} });
    const { port } = gone;
    gone.close();
    const nobody = new UdpProbe({ hostname: "127.0.0.1", port });
    expect(await nobody.ask(250)).toBe("no echo within 250 ms"); // and the ICMP errors harm nobody
    nobody.close();

    let datagrams = 0;
    const lossy = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(socket, datagram, peerPort, peer) {
          datagrams++;
          socket.send("a banner", peerPort, peer);
          if (datagrams > 1) socket.send(datagram, peerPort, peer);
        },
      },
    });
    const probe = new UdpProbe({ hostname: "127.0.0.1", port: lossy.port });
    try {
      expect(await probe.ask(10_000)).toBeNull();
      expect(datagrams).toBeGreaterThanOrEqual(2);
    } finally {
      probe.close();
      lossy.close();
    }
  });

  test("a wildcard is dialled by loopback", () => {
    expect(dialable("[::]:80")).toEqual({ hostname: "127.0.0.1", port: 80 });
    expect(dialable("0.0.0.0:80")).toEqual({ hostname: "127.0.0.1", port: 80 });
    expect(dialable("[fd00::1]:80")).toEqual({ hostname: "fd00::1", port: 80 });
    expect(dialable("10.0.0.1:80")).toEqual({ hostname: "10.0.0.1", port: 80 });
  });
});

test("/livez: an event loop that does not turn", () => {
  const tables = makeSharedTables(2, 0);
  const now = new Clock().nowMs;
  for (const loop of [0, 1]) counterRow(tables.counters, loop)[C.heartbeatMs] = now - 2000;
  expect(liveness(tables)).toEqual({ ok: true, text: "live" });
  counterRow(tables.counters, 1)[C.heartbeatMs] = now - 60_000;
  expect(liveness(tables)).toEqual({ ok: false, text: "not live: event loop 1 has not turned for 60 s" });
});

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

  test("sessions, bytes and durations are what the client counted, and durations add up", async () => {
    await using server = await startServer(["--no-banner"]);
    const sockets: Bun.Socket[] = [];
    for (let length = 1; length <= 20; length++) {
      sockets.push(await talk(server.tcpPort, "x".repeat(length * 100), length * 100));
    }
    const bytes = 100 * ((20 * 21) / 2);
    const open = await server.metrics();
    expect(open.get("echo_sessions_active", { protocol: "tcp" })).toBe(20);
    expect(open.get("echo_received_bytes_total", { protocol: "tcp" })).toBe(bytes);
    expect(open.get("echo_sent_bytes_total", { protocol: "tcp" })).toBe(bytes);
    expect(open.get("echo_session_duration_seconds_count", { protocol: "tcp" })).toBe(0);
    for (const socket of sockets) socket.end();
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
    await using server = await startServer(["--no-banner"]);
    let running = true;
    let echoes = 0;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: server.tcpPort,
      socket: {
        data(socket, chunk) {
          echoes++;
          if (running) socket.write(chunk);
        },
      },
    });
    socket.write("ping");
    let before = 0;
    for (let scrapes = 0; scrapes < 30; scrapes++) {
      const all = await Promise.all([server.metrics(), server.metrics(), server.metrics()]);
      const bytes = all.map((metrics) => metrics.get("echo_received_bytes_total", { protocol: "tcp" }));
      expect(Math.min(...bytes)).toBeGreaterThanOrEqual(before); // answers to questions asked at once may overtake
      before = Math.max(...bytes);
    }
    running = false;
    expect(echoes).toBeGreaterThan(0);
    expect(before).toBeGreaterThan(0);
    socket.end();
  });
});

describe("the page", () => {
  test("shows this Pod, its addresses and its sessions, and loads nothing from elsewhere", async () => {
    await using server = await startServer([], {
      env: { ECHO_POD_NAME: "server2", ECHO_NODE_NAME: "node-b" },
    });
    const socket = await talk(server.tcpPort, "x", 1);
    const response = await server.fetch("/");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toStartWith("default-src 'none'");
    const html = await response.text();
    for (const part of ["server2", "node-b", "serving", ...server.tcp, ...server.udp])
      expect(html).toContain(part);
    expect(html).toContain('<th scope="row">TCP</th><td class="n">1</td><td class="n">1</td>');
    expect(html).not.toMatch(/<script|https?:|src=/);
    socket.end();
  });

  test("marks this Pod in the fleet, and takes no text for markup", () => {
    const html = renderPage({
      identity: [["Name", "<b>&\"'"]],
      state: "draining",
      addresses: { tcp: [], udp: ["[::]:5678"] },
      sessions: [
        { protocol: "UDP", active: 1234567, opened: 2, refused: 3, receivedBytes: 1536, sentBytes: 5 },
      ],
      fleet: [
        { name: "headless", addresses: ["10.0.0.1", "10.0.0.2"] },
        { name: "server1.headless", addresses: ["10.0.0.1"] },
        { name: "server2.headless", addresses: ["10.0.0.2"] },
        { name: "server3.headless", addresses: [] },
      ],
      own: ["127.0.0.1", "10.0.0.2"],
    });
    expect(html).not.toContain("<b>");
    expect(html).toContain("&#60;b&#62;&#38;&#34;&#39;");
    expect(html.match(/this Pod<\/em>/g)).toHaveLength(1);
    expect(html).toContain("server2.headless</th><td><code>10.0.0.2</code> <em>this Pod</em>");
    expect(html).toContain("no address");
    for (const number of ["1,234,567", "1.5 KiB", "5 B", "draining"]) expect(html).toContain(number);
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
