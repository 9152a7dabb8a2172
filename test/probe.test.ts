import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Readiness } from "../src/admin/health.ts";
import { PROBE_RESULTS } from "../src/admin/probe.ts";
import { endpointOf } from "../src/net/endpoint.ts";
import { makeSharedTables } from "../src/state/shared.ts";
import { untilMetric } from "./clients/metrics.ts";
import { probed, readiness } from "./clients/readiness.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";
import { settings } from "./rules/fixtures.ts";

/** The server's own probe is no session: no limit holds it back, and nothing but its own metrics knows it. */

/** Each `echo_` number that is not 0, except those of the probe, of this very scrape, and of nothing that happened. */
async function counted(server: EchoServer): Promise<string[]> {
  const { samples } = await server.metrics();
  return [...samples]
    .filter(
      ([key, value]) =>
        value !== 0 && /^echo_(?!ready|probe|admin_connections_active|build|event_loop_lag)/.test(key),
    )
    .map(([key, value]) => `${key} ${value}`);
}

describe("a server that nobody uses", () => {
  test("stays at 0 in every number, on its page and in its log, however often it is probed", async () => {
    await using server = await startServer(["--log-level", "debug"]);
    await probed(server, 15);
    expect(await counted(server)).toEqual([]);
    const html = await (await server.fetch("/")).text();
    for (const protocol of ["TCP", "UDP"]) {
      expect(html).toContain(`<th scope="row">${protocol}</th><td class="n">0</td><td class="n">0</td>`);
    }
    const { stdout } = await server.stop();
    expect(stdout).not.toMatch(/session (opened|ended)/);
    expect(server.log.find(({ msg }) => msg === "draining")).toMatchObject({
      tcpSessions: 0,
      udpSessions: 0,
    });
  });

  test("has every result at 0 before its first, and tells whether it is ready", async () => {
    await using server = await startServer();
    await untilMetric(server, "echo_ready", {}, 1); // without anybody asking /readyz
    const metrics = await server.metrics();
    for (const result of PROBE_RESULTS) {
      if (result !== "ok") expect(metrics.get("echo_probe_total", { result })).toBe(0);
    }
    expect(metrics.get("echo_probe_total", { result: "ok" })).toBeGreaterThan(0);
  });

  test("keeps its descriptors, and leaves no connection behind that waits for its end", async () => {
    await using server = await startServer(["--udp-port", "off"]);
    const others = connections(server.tcpPort); // of whoever had that port before
    const descriptors = async () => (await server.metrics()).get("process_open_fds");
    await probed(server, 2);
    const before = await descriptors();
    await probed(server, 10);
    await until("the descriptors of before", async () => (await descriptors()) <= before);
    // A TIME_WAIT would stay for a minute, and so fail this; the latest probe may still be on its way.
    await until("none but listeners", () =>
      [...connections(server.tcpPort)].every(([ends, state]) => state === "0A" || others.has(ends)),
    );
  });
});

/** The host's TCP sockets that have this port at either end: their ends, and their states as /proc tells them. */
function connections(port: number): Map<string, string> {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  const rows = ["tcp", "tcp6"]
    .flatMap((name) => readFileSync(`/proc/net/${name}`, "utf8").split("\n"))
    .filter((line) => line.includes(end))
    .map((line) => line.trim().split(/\s+/));
  return new Map(rows.map(([, local, remote, state]) => [`${local} ${remote}`, state!]));
}

describe("at a limit", () => {
  test("of sessions the server is ready, and says that it is full", async () => {
    await using server = await startServer(["--max-tcp-sessions", "2", "--udp-port", "off"]);
    const clients = await connectMany(server.tcpPort, 2);
    for (const client of clients) await client.greeted();
    await until("the notice", async () => (await readiness(server)) === "200 ready (full)");
    await probed(server, 5);
    expect(await readiness(server)).toBe("200 ready (full)");
    for (const client of clients) expect(await client.echoes("still served")).toBe(true);
    expect(await counted(server)).not.toContainEqual(expect.stringContaining("refused"));
    expect((await server.metrics()).get("echo_sessions_active", { protocol: "tcp" })).toBe(2);
    clients[0]!.halfClose();
    await until("room again", async () => (await readiness(server)) === "200 ready");
    disposeAll(clients);
  });

  test("of one client's sessions, used up from loopback", async () => {
    await using server = await startServer(["--max-tcp-sessions-per-client", "2", "--udp-port", "off"]);
    const clients = await connectMany(server.tcpPort, 2);
    for (const client of clients) await client.greeted();
    await probed(server, 5);
    expect(await readiness(server)).toBe("200 ready");
    expect(await counted(server)).not.toContainEqual(expect.stringContaining("refused"));
    using third = await TcpClient.connect(server.tcpPort);
    expect(await third.ended).toBe("reset"); // the cap holds all the same
    disposeAll(clients);
  });

  test("of UDP sessions", async () => {
    await using server = await startServer(["--max-udp-sessions", "1", "--tcp-port", "off"]);
    using client = await UdpClient.open(server.udpPort);
    await greet(client);
    await probed(server, 5);
    expect(await counted(server)).not.toContainEqual(expect.stringMatching(/refused|dropped/));
    expect((await server.metrics()).get("echo_received_datagrams_total", { protocol: "udp" })).toBe(1);
  });

  test("of idle time, shorter than the probe's period; and without a banner to spend", async () => {
    const short = ["--udp-idle-timeout", "50ms", "--tcp-idle-timeout", "50ms"];
    await using server = await startServer([...short, "--udp-banner-rate", "1"]);
    await probed(server, 8); // 100 ms or more from one to the next
    expect(await counted(server)).toEqual([]);
    using client = await UdpClient.open(server.udpPort);
    await greet(client); // the one banner was not the probe's
  });

  test("of descriptors", async () => {
    const many = ["--max-tcp-sessions", "1000", "--udp-port", "off"];
    await using server = await startServer(many, { openFiles: 100 });
    const clients = await connectMany(server.tcpPort, 150);
    await until("each is greeted or refused", () =>
      clients.every((client) => client.ending !== null || client.banner !== null),
    );
    expect(
      (await server.metrics()).get("echo_refused_total", { protocol: "tcp", reason: "no_descriptors" }),
    ).toBeGreaterThan(0);
    await probed(server, 5);
    for (const client of clients) if (client.ending === null) expect(await client.echoes("ok")).toBe(true);
    disposeAll(clients);
  });

  test("of who may come without a PROXY header, or with one", async () => {
    for (const [mode, trusted] of [
      ["accept", "any"],
      ["require", "any"],
      ["require", "10.0.0.0/8"],
    ] as const) {
      const proxy = ["--proxy-protocol", mode, "--proxy-trusted", trusted];
      await using server = await startServer([...proxy, "--udp-port", "off"]);
      await probed(server, 3);
      expect([mode, trusted, await counted(server)]).toEqual([mode, trusted, []]);
    }
  });
});

test("a server that drains is not ready, and says so at once", async () => {
  await using server = await startServer();
  using client = await TcpClient.connect(server.tcpPort);
  await client.greeted();
  await probed(server, 1);
  server.kill("SIGTERM");
  await server.waitForLog("draining");
  expect(await readiness(server)).toBe("503 not ready: draining");
  expect((await server.metrics()).get("echo_ready")).toBe(0);
  client.halfClose();
  expect(await server.exited).toBe(0);
  expect(server.log.find(({ msg }) => msg === "drained")).toMatchObject({ finished: 1, cut: 0 });
});

test("a probe that fails is named, counted, and no session", async () => {
  const tables = makeSharedTables(1, 0);
  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const gone = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const closed = endpointOf("127.0.0.1", gone.port)!;
  gone.stop(true);
  for (const [tcp, why, result] of [
    [closed, "tcp: cannot connect: ECONNREFUSED; udp: no echo within 50 ms", "refused"],
    [
      endpointOf("127.0.0.1", silent.port)!,
      "tcp: no echo within 50 ms; udp: no echo within 50 ms",
      "timeout",
    ],
  ] as const) {
    const failing = new Readiness(tables, { tcp: [tcp], udp: [closed] }, settings(), 50);
    expect(failing.isReady()).toBe(false);
    expect(await failing.check()).toEqual({ ok: false, text: `not ready: ${why}` });
    expect(failing.isReady()).toBe(false);
    expect(failing.tries.get(result)).toBe(1);
    expect(failing.tries.get("ok")).toBe(0);
    failing.close();
  }
});
