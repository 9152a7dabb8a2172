import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { isStopped } from "./clients/machine.ts";
import { untilActive, untilMetric } from "./clients/metrics.ts";
import { parseBanner } from "./clients/tcp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { startServer, until } from "./harness.ts";

/** UDP as a client sees it: a banner and an echo, then each datagram back as one. */

describe("a session", () => {
  test("begins with two answers, the banner and the echo, and goes on with one each", async () => {
    await using server = await startServer();
    const before = Math.floor(Date.now() / 1000) * 1000;
    using client = await UdpClient.open(server.udpPort);
    const banner = await greet(client);
    const { Date: date, ...ends } = parseBanner(banner);
    expect(Date.parse(date!)).toBeWithin(before, Date.now() + 1);
    expect(ends).toEqual({ Server: `127.0.0.1:${server.udpPort}`, Client: `127.0.0.1:${client.port}` });
    for (const word of ["a", "bc", "", "def"]) expect((await client.asks(word)).toString()).toBe(word);
    expect(client.received.length).toBe(6);
  });

  test("of another port of the same client is another session", async () => {
    await using server = await startServer();
    using one = await UdpClient.open(server.udpPort);
    using two = await UdpClient.open(server.udpPort);
    for (const client of [one, two]) {
      expect(parseBanner(await greet(client))["Client"]).toBe(`127.0.0.1:${client.port}`);
    }
    await untilActive(server, "udp", 2);
  });

  test("over IPv6 has brackets in its banner, over IPv4 on the same server none", async () => {
    await using server = await startServer(["--host", "::"]);
    using six = await UdpClient.open(server.udpPort, { host: "::1" });
    const { Server, Client } = parseBanner(await greet(six));
    expect(Server).toBe(`[::1]:${server.udpPort}`);
    expect(Client).toBe(`[::1]:${six.port}`);
    using four = await UdpClient.open(server.udpPort);
    expect(parseBanner(await greet(four))["Client"]).toBe(`127.0.0.1:${four.port}`);
  });

  test("without banners is the echo alone", async () => {
    await using server = await startServer(["--no-banner"]);
    using client = await UdpClient.open(server.udpPort);
    expect((await client.asks("first")).toString()).toBe("first");
    expect((await client.asks("second")).toString()).toBe("second");
    expect(client.received.length).toBe(2);
  });

  test("ends after the idle timeout, and the next datagram gets a banner again", async () => {
    await using server = await startServer(["--udp-idle-timeout", "500ms"]);
    using client = await UdpClient.open(server.udpPort);
    await greet(client);
    expect((await client.asks("still the same")).toString()).toBe("still the same");
    await untilActive(server, "udp", 0);
    const ended = { protocol: "udp", reason: "idle_timeout" };
    expect((await server.metrics()).get("echo_closed_total", ended)).toBe(1);
    client.send("again");
    await client.receives(5);
    expect(client.texts.slice(3)).toEqual([expect.stringContaining("\nServer: "), "again"]);
  });

  test("that is busy does not end", async () => {
    await using server = await startServer(["--udp-idle-timeout", "400ms"]);
    using busy = await UdpClient.open(server.udpPort);
    using idle = await UdpClient.open(server.udpPort);
    await greet(busy);
    await greet(idle);
    const ended = { protocol: "udp", reason: "idle_timeout" };
    while ((await server.metrics()).get("echo_closed_total", ended) < 1) {
      expect((await busy.asks("busy")).toString()).toBe("busy");
      await Bun.sleep(20);
    }
    expect((await busy.asks("busy still")).toString()).toBe("busy still");
    expect(busy.texts.filter((text) => text.includes("Server:")).length).toBe(1);
  });
});

test("a session whose datagrams came in time goes on, however late the server is to read them", async () => {
  await using server = await startServer(["--udp-idle-timeout", "1s"]);
  using client = await UdpClient.open(server.udpPort);
  await greet(client);
  server.kill("SIGSTOP");
  try {
    await until("the server has stopped", () => isStopped(server.pid));
    for (const word of ["one", "two"]) client.send(word);
    await Bun.sleep(1500);
  } finally {
    server.kill("SIGCONT");
  }
  await client.receives(4);
  expect(client.texts.slice(2)).toEqual(["one", "two"]);
  await untilMetric(server, "echo_closed_total", { protocol: "udp", reason: "idle_timeout" }, 1);
  expect((await server.metrics()).get("echo_sessions_opened_total", { protocol: "udp" })).toBe(1);
});

describe("a datagram comes back as it went", () => {
  const sizes = [0, 1, 2, 511, 1472, 1473, 9000, 65_506, 65_507];

  test(`of ${sizes.join(", ")} bytes, the first and the later ones`, async () => {
    await using server = await startServer();
    for (const size of sizes) {
      using client = await UdpClient.open(server.udpPort);
      const sent = patternBytes(size, size);
      client.send(sent);
      const [banner, first] = await client.receives(2);
      expect(banner!.toString("latin1")).toContain("\nClient: ");
      expect(first!.equals(sent)).toBe(true);
      expect((await client.asks(sent)).equals(sent)).toBe(true);
    }
  });

  test("when runs of like ones, odd ones and empty ones come in a burst", async () => {
    await using server = await startServer(["--no-banner"]);
    using client = await UdpClient.open(server.udpPort);
    await client.asks("open");
    const sizes = [100, 100, 100, 100, 100, 0, 0, 0, 0, 1, 1, 1, 1, 1400, 1400, 1400, 1400, 1400, 7, 100, 0];
    const sent = sizes.map((size, at) => patternBytes(size, at));
    for (const datagram of sent) client.send(datagram);
    await client.receives(1 + sent.length);
    expect(client.received.slice(1).map((datagram) => datagram.length)).toEqual(sizes);
    for (const [at, datagram] of sent.entries()) expect(client.received[1 + at]!.equals(datagram)).toBe(true);
  });
});

describe("new clients in one burst", () => {
  for (const count of [100, 1000]) {
    test(`${count}: each has its own banner and its own payload, nobody another's, and none is lost`, async () => {
      await using server = await startServer();
      const clients = await Promise.all(Array.from({ length: count }, () => UdpClient.open(server.udpPort)));
      try {
        for (const [at, client] of clients.entries()) client.send(`payload of ${at}`);
        await until("each has two answers", () => clients.every((client) => client.received.length >= 2));
        for (const [at, client] of clients.entries()) {
          const [banner, echo, ...more] = client.texts;
          expect(parseBanner(banner!)["Client"]).toBe(`127.0.0.1:${client.port}`);
          expect([echo, more]).toEqual([`payload of ${at}`, []]);
        }
        await untilMetric(server, "echo_sent_datagrams_total", { protocol: "udp" }, 2 * count);
        const opened = (await server.metrics()).get("echo_sessions_opened_total", { protocol: "udp" });
        expect(opened).toBe(count);
      } finally {
        for (const client of clients) client[Symbol.dispose]();
      }
    });
  }
});
