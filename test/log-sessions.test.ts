import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { untilMetric } from "./clients/metrics.ts";
import { TcpClient } from "./clients/tcp.ts";
import { type EchoServer, type LogLine, startServer, until } from "./harness.ts";

/** The log at debug level: of each TCP session its beginning and its end, with its own bytes. */

const DEBUG = ["--log-level", "debug"];

const linesOf = (server: EchoServer, client: string): LogLine[] =>
  server.log.filter((line) => line["client"] === client && line.msg.startsWith("session "));

/** The two lines of a session that is over. */
async function story(server: EchoServer, client: string): Promise<[LogLine, LogLine]> {
  await until(`the end of ${client} in the log`, () =>
    linesOf(server, client).some(({ msg }) => msg === "session ended"),
  );
  const lines = linesOf(server, client);
  expect(lines.map(({ msg }) => msg)).toEqual(["session opened", "session ended"]);
  return lines as [LogLine, LogLine];
}

const endOf = (client: TcpClient): string => `127.0.0.1:${client.port}`;

describe("a session", () => {
  test("is told of when it opens, and with its bytes, its time and the reason when it ends", async () => {
    await using server = await startServer(DEBUG);
    using client = await TcpClient.connect(server.tcpPort);
    const banner = await client.greeted();
    const own = endOf(client);
    await until("its beginning", () => linesOf(server, own).length === 1);
    const [opened] = linesOf(server, own);
    const where = { protocol: "tcp", client: own, server: `127.0.0.1:${server.tcpPort}` };
    expect(opened).toEqual({ level: "debug", time: opened!.time, msg: "session opened", ...where });
    expect(await client.echoes("a secret")).toBe(true);
    client.halfClose();
    expect(await client.ended).toBe("fin");
    const [, ended] = await story(server, own);
    expect(ended).toMatchObject({
      ...where,
      receivedBytes: 8,
      sentBytes: banner.length + 8,
      reason: "client",
    });
    expect(String(ended["seconds"])).toMatch(/^\d+(\.\d{1,3})?$/);
    const { stdout, stderr } = await server.stop();
    expect(stdout + stderr).not.toContain("secret");
  });

  test("has its own bytes, whatever others send in between", async () => {
    await using server = await startServer(DEBUG);
    const sizes = [0, 1, 700, 65_536, 300_000, 1_234_567];
    const clients = await Promise.all(sizes.map(() => TcpClient.connect(server.tcpPort)));
    try {
      for (const client of clients) await client.greeted();
      const names = clients.map(endOf);
      clients.map((client, at) => client.send(patternBytes(sizes[at]!, at)));
      await Promise.all(clients.map((client, at) => client.echoed(sizes[at]!)));
      for (const client of clients) client.halfClose();
      for (const [at, client] of clients.entries()) {
        expect(await client.ended).toBe("fin");
        const [, ended] = await story(server, names[at]!);
        const { receivedBytes, sentBytes } = ended;
        expect({ receivedBytes, sentBytes }).toEqual({
          receivedBytes: sizes[at],
          sentBytes: client.bytesReceived,
        });
      }
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  });

  test("of a slow reader has what was taken until it reads on, and all at the end", async () => {
    await using server = await startServer(DEBUG);
    const bytes = patternBytes(20_000_000);
    using slow = await TcpClient.connect(server.tcpPort, { stalled: true, countOnly: true });
    const slowEnd = endOf(slow);
    slow.send(bytes);
    await until("the server waits for its reader", async () => {
      return (await server.metrics()).get("echo_queued_bytes") > 0;
    });
    using quick = await TcpClient.connect(server.tcpPort);
    const quickEnd = endOf(quick);
    expect(await quick.echoes("meanwhile")).toBe(true);
    slow.resume();
    slow.halfClose();
    expect(await slow.ended).toBe("fin");
    const [, ended] = await story(server, slowEnd);
    const { receivedBytes, sentBytes } = ended;
    expect({ receivedBytes, sentBytes }).toEqual({
      receivedBytes: bytes.length,
      sentBytes: slow.bytesReceived,
    });
    quick.halfClose();
    expect((await story(server, quickEnd))[1]).toMatchObject({ receivedBytes: 9 });
  });

  test("that the drain cuts has what was echoed until then", async () => {
    await using server = await startServer([...DEBUG, "--drain-timeout", "200ms"]);
    using client = await TcpClient.connect(server.tcpPort);
    const own = endOf(client);
    expect(await client.echoes("some bytes")).toBe(true);
    server.kill("SIGTERM");
    expect(await client.ended).toBe("fin");
    expect(await server.exited).toBe(0);
    const [, ended] = await story(server, own);
    expect(ended).toMatchObject({ receivedBytes: 10, sentBytes: client.bytesReceived, reason: "cut" });
  });
});

test("all lines together are what the counters say", async () => {
  await using server = await startServer(DEBUG);
  const rounds = 40;
  const clients = await Promise.all(
    Array.from({ length: rounds }, async (_, at) => {
      const client = await TcpClient.connect(server.tcpPort);
      client.send(patternBytes(at * 997, at));
      await client.echoed(at * 997);
      if (at % 3 === 0) client.reset();
      else client.halfClose();
      await client.ended;
      return client;
    }),
  );
  for (const client of clients) client[Symbol.dispose]();
  await untilMetric(server, "echo_sessions_active", { protocol: "tcp" }, 0);
  await until("every end", () => server.log.filter(({ msg }) => msg === "session ended").length === rounds);
  const ends = server.log.filter(({ msg }) => msg === "session ended");
  const sum = (field: string): number => ends.reduce((all, line) => all + Number(line[field]), 0);
  const metrics = await server.metrics();
  expect(sum("receivedBytes")).toBe(metrics.get("echo_received_bytes_total", { protocol: "tcp" }));
  expect(sum("sentBytes")).toBe(metrics.get("echo_sent_bytes_total", { protocol: "tcp" }));
});

describe("behind a proxy", () => {
  const ACCEPT = [...DEBUG, "--proxy-protocol", "accept", "--proxy-timeout", "200ms"];
  const HEADER = "PROXY TCP4 192.0.2.7 192.0.2.9 56324 1234\r\n";

  test("a session opens when its client is known, and its header is none of its bytes", async () => {
    await using server = await startServer(ACCEPT);
    using client = await TcpClient.connect(server.tcpPort);
    const via = endOf(client);
    client.send(`${HEADER}data`);
    await client.echoed(4);
    client.halfClose();
    await client.ended;
    const [opened, ended] = await story(server, "192.0.2.7:56324");
    expect(opened).toMatchObject({ via });
    expect(ended).toMatchObject({ via, receivedBytes: 4, sentBytes: client.bytesReceived });
  });

  test("one that ends in the wait for its header has a beginning all the same", async () => {
    await using server = await startServer([...DEBUG, "--proxy-protocol", "require"]);
    using client = await TcpClient.connect(server.tcpPort);
    const own = endOf(client);
    client.send("no header");
    expect(await client.ended).toBe("reset");
    const [opened, ended] = await story(server, own);
    expect(opened).not.toHaveProperty("via");
    expect(ended).toMatchObject({ reason: "refused", receivedBytes: 0, sentBytes: 0 });
  });

  test("a header that comes after the banner names the client at the end", async () => {
    await using server = await startServer(ACCEPT);
    // The client of the session before must not be taken for this one's.
    using before = await TcpClient.connect(server.tcpPort);
    before.send(`${HEADER}x`);
    await before.echoed(1);
    using client = await TcpClient.connect(server.tcpPort);
    const via = endOf(client);
    await client.greeted();
    await until("its beginning", () => linesOf(server, via).length === 1);
    expect(linesOf(server, via)[0]).not.toHaveProperty("via");
    client.send("PROXY TCP4 192.0.2.8 192.0.2.9 4242 1234\r\nlate");
    await client.echoed(4);
    client.halfClose();
    await client.ended;
    const line = await server.waitForLog(
      ({ msg, client: who }) => msg === "session ended" && who === "192.0.2.8:4242",
    );
    expect(line).toMatchObject({ via, receivedBytes: 4, sentBytes: client.bytesReceived });
  });
});

test("at info nothing is told of sessions", async () => {
  await using server = await startServer();
  using client = await TcpClient.connect(server.tcpPort);
  expect(await client.echoes("x")).toBe(true);
  client.halfClose();
  await client.ended;
  await untilMetric(server, "echo_sessions_active", { protocol: "tcp" }, 0);
  expect((await server.stop()).stdout).not.toContain("session");
});
