import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { backlogMax, cpuSeconds, isStopped } from "./clients/machine.ts";
import { refusals, untilActive } from "./clients/metrics.ts";
import { untilStill } from "./clients/still.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** What clients and the machine do to the server, and what the others must not notice. */

/** Sessions that ended for that reason. */
async function closed(server: EchoServer, reason: string): Promise<number> {
  return (await server.metrics()).get("echo_closed_total", { protocol: "tcp", reason });
}

async function openDescriptors(server: EchoServer): Promise<number> {
  return (await server.metrics()).get("process_open_fds");
}

describe("a reset in mid-transfer", () => {
  test("costs that session alone, and nothing is left of it", async () => {
    await using server = await startServer();
    using witness = await TcpClient.connect(server.tcpPort);
    expect(await witness.echoes("before")).toBe(true);
    const descriptors = await openDescriptors(server);
    for (let wave = 0; wave < 4; wave++) {
      const clients = await connectMany(server.tcpPort, 25, { stalled: wave % 2 === 0 });
      for (const client of clients) client.send(patternBytes(4_000_000));
      // Of half of the waves the server is stopped by a full window, of the others it is in full flow.
      await until("bytes are on their way", () => clients.every((client) => client.bytesSent > 0));
      for (const client of clients) client.reset();
      expect(await witness.echoes(`after ${wave}`)).toBe(true);
    }
    await untilActive(server, "tcp", 1);
    expect(await closed(server, "reset")).toBe(100);
    const metrics = await server.metrics();
    expect(metrics.get("echo_queued_bytes")).toBe(0);
    expect(await openDescriptors(server)).toBeLessThanOrEqual(descriptors + 2); // the scrape's own connection
  });

  test("just as there is room again for what had to wait leaves nothing of the session", async () => {
    await using server = await startServer();
    const clients = await connectMany(server.tcpPort, 40, { stalled: true });
    const bytes = (what: "bytesSent" | "bytesReceived") =>
      clients.reduce((sum, client) => sum + client[what], 0);
    for (const client of clients) client.send(patternBytes(16_000_000));
    await untilStill("all are held back", () => bytes("bytesSent"));
    // The stopped server wakes to a row of sockets with room, and while it serves the first the last are reset.
    server.kill("SIGSTOP");
    try {
      for (const client of clients) client.resume();
      await untilStill("all that is in the kernel has come", () => bytes("bytesReceived"));
    } finally {
      server.kill("SIGCONT");
    }
    for (const client of clients.reverse()) client.reset();
    await untilActive(server, "tcp", 0);
    expect(await closed(server, "reset")).toBe(40);
    expect((await server.metrics()).get("echo_queued_bytes")).toBe(0);
  });

  for (const args of [[], ["--no-banner"]]) {
    test(`before the server has accepted is one to it, never a FIN ${args.join()}`, async () => {
      await using server = await startServer(args);
      server.kill("SIGSTOP");
      try {
        await until("the server has stopped", () => isStopped(server.pid));
        disposeAll(await connectMany(server.tcpPort, 20));
      } finally {
        server.kill("SIGCONT");
      }
      // Of such a connection the portable engine knows no addresses, and so makes no session of it.
      const reset = async () => (await closed(server, "reset")) + (await refusals(server, "tcp", "gone"));
      const left = () => closed(server, "client");
      await until("all have come and gone", async () => (await reset()) + (await left()) === 20);
      expect(await left()).toBe(0);
    });
  }

  test("before the first byte, right after the connect, by the hundred", async () => {
    await using server = await startServer();
    for (let wave = 0; wave < 5; wave++) {
      const clients = await connectMany(server.tcpPort, 200);
      disposeAll(clients);
    }
    await until("all have come and gone", async () => {
      const metrics = await server.metrics();
      const opened = metrics.get("echo_sessions_opened_total", { protocol: "tcp" });
      return opened > 0 && metrics.get("echo_sessions_active", { protocol: "tcp" }) === 0;
    });
    using client = await TcpClient.connect(server.tcpPort);
    expect(await client.echoes("alive")).toBe(true);
  });
});

describe("half-open clients", () => {
  test("one that sent its FIN and never reads its queued bytes ends at the idle timeout", async () => {
    await using server = await startServer(["--tcp-idle-timeout", "1s"]);
    const descriptors = await openDescriptors(server);
    const clients = await connectMany(server.tcpPort, 10, { stalled: true });
    for (const client of clients) {
      client.send(patternBytes(16_000_000));
      client.halfClose();
    }
    await until("all have gone", async () => (await closed(server, "idle_timeout")) === 10);
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_active", { protocol: "tcp" })).toBe(0);
    expect(metrics.get("echo_queued_bytes")).toBe(0);
    expect(metrics.get("process_open_fds")).toBeLessThanOrEqual(descriptors + 2);
    disposeAll(clients);
  });

  test("one that never answers the server's FIN is closed", async () => {
    await using server = await startServer(["--tcp-idle-timeout", "300ms"]);
    const client = await TcpClient.connect(server.tcpPort, { stalled: true });
    // The server's FIN is sent; the client never reads it and never closes.
    await until("it has gone", async () => (await closed(server, "idle_timeout")) === 1);
    await untilActive(server, "tcp", 0);
    expect(client.ending).toBeNull();
    client.reset();
  });
});

describe("many at once", () => {
  test("3,000 connects to a server that cannot accept just now wait in its backlog, and all are served", async () => {
    await using server = await startServer();
    const count = Math.min(3000, backlogMax() - 64);
    server.kill("SIGSTOP");
    let clients: TcpClient[];
    try {
      clients = await connectMany(server.tcpPort, count);
    } finally {
      server.kill("SIGCONT");
    }
    for (const client of clients) await client.greeted();
    for (const client of clients) client.send("one of many");
    for (const client of clients) expect((await client.echoed(11)).toString()).toBe("one of many");
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(count);
    expect(metrics.get("echo_sessions_active", { protocol: "tcp" })).toBe(count);
    disposeAll(clients);
    await untilActive(server, "tcp", 0);
  });
});

describe("out of descriptors", () => {
  /** The share of one core that a spinning loop takes is 1, on a machine shared with others perhaps a third. */
  const IDLE_SHARE_MAX = 0.2;

  for (const workers of ["1", "2"]) {
    test(`with ${workers} loop(s): newcomers are reset and counted, sessions and scrapes go on, CPU stays near idle`, async () => {
      const limits = ["--max-tcp-sessions", "10000", "--workers", workers];
      await using server = await startServer(limits, { openFiles: 100 });
      const known = await connectMany(server.tcpPort, 10);
      for (const client of known) expect(await client.echoes("before")).toBe(true);
      const newcomers = await connectMany(server.tcpPort, 300);
      await until("each is greeted or reset", () =>
        newcomers.every((client) => client.ending !== null || client.banner !== null),
      );
      const admitted = newcomers.filter((client) => client.ending === null);
      expect(admitted.length).toBeGreaterThan(0);
      expect(admitted.length).toBeLessThan(100);
      for (const client of [...known, ...admitted]) expect(await client.echoes("during")).toBe(true);
      expect(await refusals(server, "tcp", "no_descriptors")).toBe(300 - admitted.length);

      const started = performance.now();
      const before = cpuSeconds(server.pid);
      await Bun.sleep(700); // a stretch of time to measure, not an event to wait for
      const share = (cpuSeconds(server.pid) - before) / ((performance.now() - started) / 1000);
      expect(share).toBeLessThan(IDLE_SHARE_MAX);

      disposeAll(admitted);
      await untilActive(server, "tcp", 10);
      using late = await TcpClient.connect(server.tcpPort);
      expect(await late.echoes("after")).toBe(true);
      disposeAll(known);
    });
  }
});
