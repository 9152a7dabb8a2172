import { describe, expect, test } from "bun:test";
import { loopFacts } from "../src/admin/counted.ts";
import { dialable } from "../src/admin/dialable.ts";
import { liveness } from "../src/admin/health.ts";
import type { ProbeFault } from "../src/admin/probe.ts";
import { TcpProbe } from "../src/admin/probe-tcp.ts";
import { type ProxySettings, probeTcpPortably } from "../src/admin/probe-tcp-portable.ts";
import { UdpProbe } from "../src/admin/probe-udp.ts";
import { parseAddress } from "../src/net/address.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../src/net/endpoint.ts";
import { Clock } from "../src/state/clock.ts";
import { COUNTER, countersOf } from "../src/state/counters.ts";
import { CONTROL, makeSharedTables, type SharedTables } from "../src/state/shared.ts";
import { sendTo } from "./clients/send-to.ts";
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
      expect((await server.metrics()).get("echo_probe_total", { result: "ok" })).toBeGreaterThan(0);
    }
  });

  test("many who ask at once share one try", async () => {
    await using server = await startServer();
    const asked = Array.from({ length: 100 }, () => server.fetch("/readyz"));
    for (const response of await Promise.all(asked)) expect(response.status).toBe(200);
    const metrics = await server.metrics();
    expect(metrics.get("echo_probe_total", { result: "ok" })).toBeWithin(1, 20);
  });
});

/** A TCP server that stands in for the echo server, and is none. */
function standIn(handlers: Partial<Bun.SocketHandler>): Bun.TCPSocketListener {
  return Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {}, ...handlers } });
}

function endpointOf({ port }: { port: number }): Endpoint {
  return { address: parseAddress("127.0.0.1")!, port };
}

/** Where nobody listens any more. */
async function closedPort(): Promise<Endpoint> {
  const closed = standIn({});
  const endpoint = endpointOf(closed);
  closed.stop(true);
  return endpoint;
}

const fault = (result: ProbeFault["result"], why: string): ProbeFault => ({ result, why });

async function asks(tables: SharedTables, endpoint: Endpoint): Promise<ProbeFault | null> {
  const probe = new TcpProbe(tables, endpoint);
  try {
    return await probe.ask(5000);
  } finally {
    probe.close();
  }
}

describe("the portable TCP probe", () => {
  test("nobody there, nobody at home, no echo, an early end", async () => {
    const off: ProxySettings = { proxyProtocol: "off", proxyTrusted: [] };
    const stranger: ProxySettings = { proxyProtocol: "require", proxyTrusted: ["10.0.0.0/8"] };
    const refused = await probeTcpPortably(await closedPort(), off, 5000);
    expect(refused).toEqual(fault("refused", "cannot connect: ECONNREFUSED"));

    using silent = standIn({});
    const late = fault("timeout", "no echo within 50 ms");
    expect(await probeTcpPortably(endpointOf(silent), off, 50)).toEqual(late);
    expect(await probeTcpPortably(endpointOf(silent), stranger, 50)).toEqual(late);

    using babbling = standIn({ data: (socket) => void socket.write("x".repeat(5000)) });
    const babble = await probeTcpPortably(endpointOf(babbling), off, 5000);
    expect(babble).toEqual(fault("wrong", "something else than an echo came back"));

    using rude = standIn({ open: (socket) => socket.terminate() });
    const closed = fault("closed", "the connection was closed before the echo");
    expect(await probeTcpPortably(endpointOf(rude), off, 5000)).toEqual(closed);
    const trusted: ProxySettings = { proxyProtocol: "require", proxyTrusted: ["127.0.0.0/8"] };
    expect(await probeTcpPortably(endpointOf(rude), trusted, 5000)).toEqual(closed);
    expect(await probeTcpPortably(endpointOf(rude), stranger, 5000)).toBeNull();
  });

  test("speaks the PROXY protocol where it must, and takes a refusal for life where it is not trusted", async () => {
    for (const [proxyProtocol, trusted] of [
      ["accept", "any"],
      ["require", "any"],
      ["require", "10.0.0.0/8"],
    ] as const) {
      const proxy = ["--proxy-protocol", proxyProtocol, "--proxy-trusted", trusted];
      await using server = await startServer([...proxy, "--udp-port", "off"]);
      const endpoint = endpointOf({ port: server.tcpPort });
      const proxyTrusted = trusted === "any" ? [] : [trusted];
      expect(await probeTcpPortably(endpoint, { proxyProtocol, proxyTrusted }, 5000)).toBeNull();
      const metrics = await server.metrics();
      const believed = proxyProtocol === "require" && trusted === "any" ? 1 : 0;
      expect(metrics.get("echo_proxy_headers_total", { kind: "local" })).toBe(believed);
      expect(metrics.get("echo_refused_total", { protocol: "tcp", reason: "proxy_missing" })).toBe(0);
    }
  });
});

describe("the TCP probe", () => {
  test("nobody there, no echo, an early end", async () => {
    const tables = makeSharedTables(1, 0);
    const refused = await asks(tables, await closedPort());
    expect(refused).toEqual(fault("refused", "cannot connect: ECONNREFUSED"));
    using babbling = standIn({ data: (socket) => void socket.write("x".repeat(5000)) });
    const babble = await asks(tables, endpointOf(babbling));
    expect(babble).toEqual(fault("wrong", "something else than an echo came back"));
    using rude = standIn({ open: (socket) => socket.terminate() });
    const closed = fault("closed", "the connection was closed before the echo");
    expect(await asks(tables, endpointOf(rude))).toEqual(closed);
    using leaving = standIn({ data: (socket) => void socket.end("Thu Nov") }); // as a banner begins
    expect(await asks(tables, endpointOf(leaving))).toEqual(closed);
    using other = standIn({ data: (socket) => void socket.end("bye") });
    expect(await asks(tables, endpointOf(other))).toEqual(babble!);
    const elsewhere = await asks(tables, parseEndpoint("192.0.2.1:1")!); // no address of this host
    expect(elsewhere).toEqual(fault("failed", "cannot open a socket: EADDRNOTAVAIL"));
    expect(Atomics.load(new Int32Array(tables.control), CONTROL.probeTcpEnd)).toBe(0); // each was taken back
  });

  test("a late answer is waited for in the same connection, and told as late", async () => {
    const tables = makeSharedTables(1, 0);
    const control = new Int32Array(tables.control);
    const words: Buffer[] = [];
    const sockets: Bun.Socket<unknown>[] = [];
    using slow = standIn({
      data: (socket, bytes) => {
        sockets.push(socket);
        words.push(bytes);
      },
    });
    const probe = new TcpProbe(tables, endpointOf(slow));
    const late = fault("timeout", "no echo within 50 ms");
    expect(await probe.ask(50)).toEqual(late);
    const port = Atomics.load(control, CONTROL.probeTcpEnd);
    expect(port).toBeGreaterThan(0); // still told: it may yet be accepted
    expect(await probe.ask(50)).toEqual(late);
    expect(Atomics.load(control, CONTROL.probeTcpEnd)).toBe(port);
    expect(words.length).toBe(1); // one connection, one question

    const asking = probe.ask(10_000);
    // A question looks first for what came before it: that takes two turns of the event loop.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    sockets[0]!.write(words[0]!);
    expect(await asking).toBeNull();
    expect(Atomics.load(control, CONTROL.probeTcpEnd)).toBe(0);

    expect(await probe.ask(50)).toEqual(late);
    sockets[1]!.write(words[1]!); // nobody waits for it now
    const next = probe.ask(10_000);
    await until("a new question", () => words.length === 3);
    sockets[2]!.write(words[2]!);
    expect(await next).toBeNull();
    const last = probe.ask(10_000);
    await until("one more question", () => words.length === 4);
    probe.close(); // the server stops
    expect(await last).toEqual(fault("closed", "the connection was closed before the echo"));
    expect(Atomics.load(control, CONTROL.probeTcpEnd)).toBe(0);
  });
});

describe("the UDP probe", () => {
  test("nobody there, another's words, a lost datagram", async () => {
    const tables = makeSharedTables(1, 0);
    const gone = await Bun.udpSocket({ hostname: "127.0.0.1", socket: {} });
    const { port } = gone;
    gone.close();
    const nobody = new UdpProbe(tables, endpointOf({ port }));
    expect(await nobody.ask(250)).toEqual(fault("timeout", "no echo within 250 ms")); // ICMP harms nobody
    nobody.close();

    let datagrams = 0;
    const lossy = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(socket, datagram, peerPort, peer) {
          datagrams++;
          sendTo(socket, "a banner", peerPort, peer);
          if (datagrams > 1) sendTo(socket, datagram, peerPort, peer);
        },
        error() {},
      },
    });
    const probe = new UdpProbe(tables, endpointOf(lossy));
    try {
      expect(await probe.ask(10_000)).toBeNull();
      expect(datagrams).toBeGreaterThanOrEqual(2);
      expect(Atomics.load(new Int32Array(tables.control), CONTROL.probeUdpEnd)).toBeGreaterThan(0); // it is kept
    } finally {
      probe.close();
      lossy.close();
    }
    expect(Atomics.load(new Int32Array(tables.control), CONTROL.probeUdpEnd)).toBe(0);
    expect(new Uint8Array(tables.sourcePorts).every((mark) => mark === 0)).toBe(true);

    const elsewhere = new UdpProbe(tables, parseEndpoint("192.0.2.1:1")!);
    const failed = fault("failed", "cannot open a socket: EADDRNOTAVAIL");
    expect(await elsewhere.ask(250)).toEqual(failed);
  });
});

test("probes dial a wildcard by loopback", () => {
  const dialed = (bound: string): string => formatEndpoint(dialable(parseEndpoint(bound)!));
  expect(dialed("[::]:80")).toBe("127.0.0.1:80");
  expect(dialed("0.0.0.0:80")).toBe("127.0.0.1:80");
  expect(dialed("[fd00::1]:80")).toBe("[fd00::1]:80");
  expect(dialed("10.0.0.1:80")).toBe("10.0.0.1:80");
});

test("/livez and the page: an event loop that does not turn", () => {
  const tables = makeSharedTables(2, 0);
  const now = new Clock().nowMs;
  for (const loop of [0, 1]) countersOf(tables.counters, loop)[COUNTER.heartbeatMs] = now - 2000;
  expect(liveness(tables)).toEqual({ ok: true, text: "live" });
  expect(loopFacts(tables).map(({ hangs }) => hangs)).toEqual([false, false]);
  countersOf(tables.counters, 1)[COUNTER.heartbeatMs] = now - 60_000;
  expect(liveness(tables)).toEqual({ ok: false, text: "not live: event loop 1 has not turned for 60 s" });
  expect(loopFacts(tables).map(({ hangs }) => hangs)).toEqual([false, true]);
});
