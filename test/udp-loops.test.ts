import { describe, expect, test } from "bun:test";
import { drops, untilMetric } from "./clients/metrics.ts";
import { NodePort } from "./clients/node-port.ts";
import { sendForged } from "./clients/raw-udp.ts";
import { sendTo } from "./clients/send-to.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Datagrams that would go round for ever, between the server and whatever sends back what it gets. */

const HOST = ["--host", "127.0.0.1"];

async function received(server: EchoServer): Promise<number> {
  return (await server.metrics()).get("echo_received_datagrams_total", { protocol: "udp" });
}

/** Waits until nothing moves any more; returns how many datagrams the servers received in all. */
async function untilQuiet(...servers: EchoServer[]): Promise<number> {
  const all = async (): Promise<number> => {
    const counts = await Promise.all(servers.map(received));
    return counts.reduce((sum, count) => sum + count);
  };
  let last = -1;
  await until("nothing goes round", async () => {
    const before = last;
    last = await all();
    if (last !== before) await Bun.sleep(100);
    return last === before;
  });
  return last;
}

function forge(server: EchoServer, fromPort: number, payload = "round and round"): void {
  const from = { address: "127.0.0.1", port: fromPort };
  sendForged(from, { address: "127.0.0.1", port: server.udpPort }, Buffer.from(payload));
}

describe("a forged datagram dies within a few rounds", () => {
  test("between two servers on two ports", async () => {
    await using one = await startServer(HOST);
    await using other = await startServer(HOST);
    forge(one, other.udpPort);
    await until("it came", async () => (await drops(one, "reflected")) > 0);
    expect(await untilQuiet(one, other)).toBeLessThan(20);
    // Both go on for others.
    for (const server of [one, other]) {
      using client = await UdpClient.open(server.udpPort);
      await greet(client);
      expect((await client.asks("again")).toString()).toBe("again");
    }
  });

  test("between a server and its own NodePort, where the source port is changed on the way", async () => {
    await using server = await startServer(HOST);
    await using nodePort = await NodePort.open(server.udpPort);
    forge(server, nodePort.port);
    await until("it came", async () => (await drops(server, "reflected")) > 0);
    expect(await untilQuiet(server)).toBeLessThan(20);
    using client = await UdpClient.open(nodePort.port); // a person behind it is served
    await greet(client);
    expect((await client.asks("again")).toString()).toBe("again");
  });

  test("though many were sent ahead of the banner's return", async () => {
    await using one = await startServer(HOST);
    await using other = await startServer(HOST);
    for (let count = 0; count < 200; count++) forge(one, other.udpPort);
    await until("they came", async () => (await received(one)) >= 200);
    expect(await untilQuiet(one, other)).toBeLessThan(2000);
  });

  test("between a server and any peer that sends everything back, on any port", async () => {
    await using server = await startServer(HOST);
    const mirror = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data: (socket, datagram, port, address) => sendTo(socket, datagram, port, address),
        error: () => {},
      },
    });
    forge(server, mirror.port);
    await until("it came", async () => (await drops(server, "reflected")) > 0);
    expect(await untilQuiet(server)).toBeLessThan(20);
    mirror.close();
  });
});

describe("a peer that sends a banner back", () => {
  test("is muted for the idle time and counted; then it begins anew", async () => {
    await using server = await startServer([...HOST, "--udp-idle-timeout", "500ms"]);
    using client = await UdpClient.open(server.udpPort);
    const banner = await greet(client);
    client.send(Buffer.from(banner, "latin1"));
    client.send("are you there?");
    await until("both are dropped", async () => (await drops(server, "reflected")) === 2);
    await untilMetric(server, "echo_sessions_active", { protocol: "udp" }, 0);
    expect(client.received.length).toBe(2);
    client.send("again");
    await client.receives(4);
    expect(client.texts.slice(2)).toEqual([expect.stringContaining("\nServer: "), "again"]);
  });

  test("with one byte changed is a client", async () => {
    await using server = await startServer(HOST);
    using client = await UdpClient.open(server.udpPort);
    const banner = (await greet(client)).replace("Server", "server");
    expect((await client.asks(Buffer.from(banner, "latin1"))).toString("latin1")).toBe(banner);
    expect(await drops(server, "reflected")).toBe(0);
  });

  test("of another server is a client", async () => {
    await using server = await startServer(HOST);
    await using other = await startServer(HOST);
    using stranger = await UdpClient.open(other.udpPort);
    const banner = await greet(stranger);
    using client = await UdpClient.open(server.udpPort);
    await greet(client);
    expect((await client.asks(Buffer.from(banner, "latin1"))).toString("latin1")).toBe(banner);
  });
});

describe("a rate per client", () => {
  test("ends a loop without banners", async () => {
    await using one = await startServer([...HOST, "--no-banner", "--udp-rate-per-client", "50"]);
    await using other = await startServer([...HOST, "--no-banner"]);
    forge(one, other.udpPort);
    await until("it was dropped", async () => (await drops(one, "client_rate")) > 0);
    expect(await untilQuiet(one, other)).toBeLessThan(1000);
  });

  test("takes nothing from other clients", async () => {
    await using server = await startServer([...HOST, "--no-banner", "--udp-rate-per-client", "5"]);
    using busy = await UdpClient.open(server.udpPort, { from: "127.0.0.8" });
    for (let count = 0; count < 100; count++) busy.send("more");
    await until("some are dropped", async () => (await drops(server, "client_rate")) > 50);
    using calm = await UdpClient.open(server.udpPort, { from: "127.0.0.9" });
    expect((await calm.asks("hello")).toString()).toBe("hello");
  });

  test("is off by default: one client may send as much as it likes", async () => {
    await using server = await startServer([...HOST, "--no-banner"]);
    using client = await UdpClient.open(server.udpPort);
    for (let wave = 1; wave <= 50; wave++) {
      for (let count = 0; count < 100; count++) client.send("more");
      await client.receives(wave * 100);
    }
    expect(await drops(server, "client_rate")).toBe(0);
  });
});
