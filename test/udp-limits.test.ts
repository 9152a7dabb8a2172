import { describe, expect, test } from "bun:test";
import { UDP_DROPS } from "../src/state/counters.ts";
import { ownLoopback } from "./clients/loopback.ts";
import { activeSessions, drops, refusals, untilActive, untilMetric } from "./clients/metrics.ts";
import { sendForged } from "./clients/raw-udp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Limits of UDP sessions and banners, and peers that are dead. */

async function suppressed(server: EchoServer, reason: string): Promise<number> {
  return (await server.metrics()).get("echo_udp_banners_suppressed_total", { reason });
}

/** Opens a session on each of `count` clients, one after the other, and says which got a banner. */
async function banners(server: EchoServer, count: number, from?: string): Promise<boolean[]> {
  using clients = new DisposableStack(); // open to the end: a port that comes again is no new session's
  const got: boolean[] = [];
  for (let at = 0; at < count; at++) {
    const client = clients.use(await UdpClient.open(server.udpPort, from === undefined ? {} : { from }));
    client.send("hello");
    await until("the echo", () => client.texts.includes("hello"));
    got.push(client.received.length === 2);
  }
  return got;
}

describe("the cap of sessions", () => {
  test("echoes a newcomer without a session and a banner, counts it, and serves those that are here", async () => {
    await using server = await startServer(["--max-udp-sessions", "3"]);
    const known = await Promise.all([1, 2, 3].map(() => UdpClient.open(server.udpPort)));
    for (const client of known) await greet(client);
    using newcomer = await UdpClient.open(server.udpPort);
    for (let at = 0; at < 5; at++)
      expect((await newcomer.asks(`let me in ${at}`)).toString()).toBe(`let me in ${at}`);
    await untilMetric(server, "echo_sessionless_datagrams_total", { protocol: "udp" }, 5);
    for (const client of known) expect((await client.asks("still served")).toString()).toBe("still served");
    expect(newcomer.received.length).toBe(5);
    expect(await activeSessions(server, "udp")).toBe(3);
    const metrics = await server.metrics();
    for (const reason of UDP_DROPS) {
      expect(metrics.get("echo_dropped_datagrams_total", { protocol: "udp", reason })).toBe(0);
    }
    expect(await refusals(server, "udp", "draining")).toBe(0);
    for (const client of known) client[Symbol.dispose]();
  });

  test("filled by forged datagrams costs newcomers their banner and nothing else", async () => {
    await using server = await startServer(["--host", "127.0.0.1", "--max-udp-sessions", "100"]);
    const to = { address: "127.0.0.1", port: server.udpPort };
    for (let at = 0; at < 300; at++) {
      sendForged({ address: ownLoopback(), port: 20_000 + at }, to, Buffer.from("forged"));
    }
    await untilActive(server, "udp", 100);
    using newcomer = await UdpClient.open(server.udpPort);
    expect((await newcomer.asks("hello")).toString()).toBe("hello");
    expect((await newcomer.asks("again")).toString()).toBe("again");
  });

  test("lifts neither the loop guard nor the mute of a peer that sends a banner back", async () => {
    await using server = await startServer(["--host", "127.0.0.1", "--max-udp-sessions", "1"]);
    using known = await UdpClient.open(server.udpPort);
    const banner = Buffer.from(await greet(known), "latin1");
    const from = ownLoopback();
    using blocked = await UdpClient.open(server.udpPort, { from, fromPort: 53 });
    blocked.send("loop");
    await until("it is dropped", async () => (await drops(server, "blocked_source_port")) === 1);
    using mirror = await UdpClient.open(server.udpPort);
    mirror.send(banner);
    await until("it is dropped", async () => (await drops(server, "reflected")) === 1);
    expect((await mirror.asks("no banner")).toString()).toBe("no banner");
  });

  test("has a place for a newcomer when a session has ended", async () => {
    await using server = await startServer(["--max-udp-sessions", "2", "--udp-idle-timeout", "400ms"]);
    for (let generation = 0; generation < 3; generation++) {
      const clients = await Promise.all([1, 2].map(() => UdpClient.open(server.udpPort)));
      for (const client of clients) await greet(client);
      await untilActive(server, "udp", 0);
      for (const client of clients) client[Symbol.dispose]();
    }
    const sessionless = { protocol: "udp" };
    expect((await server.metrics()).get("echo_sessionless_datagrams_total", sessionless)).toBe(0);
  });
});

describe("the banner budget", () => {
  test("of the whole server: past it sessions get the echo alone, and are counted", async () => {
    await using server = await startServer(["--udp-banner-rate", "1"]);
    const got = await banners(server, 30);
    // One at the start, and one more for each second that the thirty take.
    expect(got[0]).toBe(true);
    expect(got.includes(false)).toBe(true);
    expect(await suppressed(server, "rate")).toBe(got.filter((banner) => !banner).length);
    expect(await suppressed(server, "prefix_rate")).toBe(0);
  });

  test("of one prefix takes nothing from other prefixes", async () => {
    await using server = await startServer(["--udp-banner-rate-per-prefix", "1"]);
    const got = await banners(server, 10, "127.0.5.1");
    const neighbour = await banners(server, 10, "127.0.5.2");
    expect([...got, ...neighbour].filter((banner) => !banner).length).toBe(
      await suppressed(server, "prefix_rate"),
    );
    expect(got.includes(false)).toBe(true);
    expect((await banners(server, 1, "127.0.6.1"))[0]).toBe(true);
    expect(await suppressed(server, "rate")).toBe(0);
  });

  test("comes back with time", async () => {
    await using server = await startServer(["--udp-banner-rate", "5"]);
    await until("it is spent", async () => (await banners(server, 1))[0] === false);
    await until("there is a banner again", async () => (await banners(server, 1))[0] === true);
  });

  for (const flag of ["--udp-banner-rate", "--udp-banner-rate-per-prefix"]) {
    test(`${flag} 0 sends no banner and loses no echo`, async () => {
      await using server = await startServer([flag, "0"]);
      expect(await banners(server, 3)).toEqual([false, false, false]);
    });
  }

  test("can be unlimited, for the server and for a prefix", async () => {
    const unlimited = ["--udp-banner-rate", "unlimited", "--udp-banner-rate-per-prefix", "unlimited"];
    await using server = await startServer(unlimited);
    expect(await banners(server, 50)).toEqual(new Array(50).fill(true));
  });
});

describe("dead peers", () => {
  test("by the thousand cost a healthy peer nothing, and the server goes on", async () => {
    await using server = await startServer(["--host", "127.0.0.1", "--no-banner"]);
    const dead = ownLoopback();
    const to = { address: "127.0.0.1", port: server.udpPort };
    using healthy = await UdpClient.open(server.udpPort);
    await healthy.asks("open");
    let sent = 0;
    for (let wave = 0; wave < 100; wave++) {
      // Nobody listens where the answers go, so each comes back as an ICMP error, some on the next send.
      for (let at = 0; at < 20; at++) {
        sendForged({ address: dead, port: 20_000 + wave * 20 + at }, to, Buffer.from("from beyond"));
        healthy.send(`${sent++}`);
      }
      await healthy.receives(1 + sent);
    }
    expect(healthy.texts.slice(1)).toEqual(Array.from({ length: sent }, (_, at) => `${at}`));
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_opened_total", { protocol: "udp" })).toBe(2001);
    expect(metrics.get("echo_received_datagrams_total", { protocol: "udp" })).toBe(4001);
    // A stale error may take an answer to the dead with it, never more.
    expect(metrics.get("echo_sent_datagrams_total", { protocol: "udp" })).toBeGreaterThanOrEqual(2001);
  });

  test("a client that closes right after each question costs nothing", async () => {
    await using server = await startServer();
    using healthy = await UdpClient.open(server.udpPort);
    await greet(healthy);
    for (let at = 0; at < 200; at++) {
      using gone = await UdpClient.open(server.udpPort);
      gone.send("bye");
      healthy.send(`${at}`);
    }
    await healthy.receives(2 + 200);
    expect(healthy.texts.slice(2)).toEqual(Array.from({ length: 200 }, (_, at) => `${at}`));
  });
});
