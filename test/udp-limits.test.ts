import { describe, expect, test } from "bun:test";
import { ownLoopback } from "./clients/loopback.ts";
import { activeSessions, drops, refusals, untilActive } from "./clients/metrics.ts";
import { sendForged } from "./clients/raw-udp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Limits of UDP sessions and banners, and peers that are dead. */

async function suppressed(server: EchoServer, reason: string): Promise<number> {
  return (await server.metrics()).get("echo_udp_banners_suppressed_total", { reason });
}

/** Opens a session on each of `count` clients, one after the other, and says which got a banner. */
async function banners(server: EchoServer, count: number, from?: string): Promise<boolean[]> {
  const got: boolean[] = [];
  for (let at = 0; at < count; at++) {
    using client = await UdpClient.open(server.udpPort, from === undefined ? {} : { from });
    client.send("hello");
    await until("the echo", () => client.texts.includes("hello"));
    got.push(client.received.length === 2);
  }
  return got;
}

describe("the cap of sessions", () => {
  test("drops a newcomer's datagrams and counts them, and serves those that are here", async () => {
    await using server = await startServer(["--max-udp-sessions", "3"]);
    const known = await Promise.all([1, 2, 3].map(() => UdpClient.open(server.udpPort)));
    for (const client of known) await greet(client);
    using newcomer = await UdpClient.open(server.udpPort);
    for (let at = 0; at < 5; at++) newcomer.send("let me in");
    await until("all are dropped", async () => (await drops(server, "max_sessions")) === 5);
    expect(await refusals(server, "udp", "max_sessions")).toBe(5);
    for (const client of known) expect((await client.asks("still served")).toString()).toBe("still served");
    expect(newcomer.received).toEqual([]);
    expect(await activeSessions(server, "udp")).toBe(3);
    for (const client of known) client[Symbol.dispose]();
  });

  test("has a place for a newcomer when a session has ended", async () => {
    await using server = await startServer(["--max-udp-sessions", "2", "--udp-idle-timeout", "400ms"]);
    for (let generation = 0; generation < 3; generation++) {
      const clients = await Promise.all([1, 2].map(() => UdpClient.open(server.udpPort)));
      for (const client of clients) await greet(client);
      await untilActive(server, "udp", 0);
      for (const client of clients) client[Symbol.dispose]();
    }
    expect(await refusals(server, "udp", "max_sessions")).toBe(0);
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

  test("of one prefix leaves the others theirs", async () => {
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

  test("of 0 is no banner at all, and no echo is less", async () => {
    await using server = await startServer(["--udp-banner-rate", "0"]);
    expect(await banners(server, 3)).toEqual([false, false, false]);
  });
});

describe("dead peers", () => {
  test("by the thousand beside a healthy one: it loses nothing, and the server goes on", async () => {
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

  test("a client that closes right after it asked, again and again", async () => {
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
