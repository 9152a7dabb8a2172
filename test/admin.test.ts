import { describe, expect, test } from "bun:test";
import { dialable } from "../src/admin/endpoint.ts";
import { liveness } from "../src/admin/health.ts";
import { renderPage } from "../src/admin/page.ts";
import { type ProxySettings, probeTcp } from "../src/admin/probe-tcp.ts";
import { UdpProbe } from "../src/admin/probe-udp.ts";
import { Clock } from "../src/rules/clock.ts";
import { C, counterRow } from "../src/rules/counters.ts";
import { makeSharedTables } from "../src/rules/shared.ts";
import { TcpClient } from "./clients/tcp.ts";
import { startServer, until } from "./harness.ts";

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
    using client = await TcpClient.connect(server.tcpPort);
    await client.greeted();
    const full = await server.fetch("/readyz");
    expect(full.status).toBe(503);
    expect(await full.text()).toStartWith("not ready: tcp: ");
    expect((await server.fetch("/livez")).status).toBe(200);
    client.halfClose();
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

describe("the page", () => {
  test("shows this Pod, its addresses and its sessions, and loads nothing from elsewhere", async () => {
    await using server = await startServer([], {
      env: { ECHO_POD_NAME: "server2", ECHO_NODE_NAME: "node-b" },
    });
    using client = await TcpClient.connect(server.tcpPort);
    await client.greeted();
    const response = await server.fetch("/");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toStartWith("default-src 'none'");
    const html = await response.text();
    for (const part of ["server2", "node-b", "serving", ...server.tcp, ...server.udp])
      expect(html).toContain(part);
    expect(html).toContain('<th scope="row">TCP</th><td class="n">1</td><td class="n">1</td>');
    expect(html).not.toMatch(/<script|https?:|src=/);
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
