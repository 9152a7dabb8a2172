import { describe, expect, test } from "bun:test";
import { ownLoopback } from "./clients/loopback.ts";
import { drops, untilMetric } from "./clients/metrics.ts";
import { sendForged } from "./clients/raw-udp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** What keeps the UDP server from being used against others: the loop guard and the bound on its answers. */

async function datagrams(server: EchoServer): Promise<{ received: number; sent: number }> {
  const metrics = await server.metrics();
  const count = (what: string): number => metrics.get(`echo_${what}_datagrams_total`, { protocol: "udp" });
  return { received: count("received"), sent: count("sent") };
}

/** A healthy client is answered, and nothing else was: whoever was dropped got nothing. */
async function expectOnlyAnswered(server: EchoServer, host: string, dropped: number): Promise<void> {
  await untilMetric(server, "echo_received_datagrams_total", { protocol: "udp" }, dropped);
  expect((await datagrams(server)).sent).toBe(0);
  using healthy = await UdpClient.open(server.udpPort, { host });
  await greet(healthy);
  await untilMetric(server, "echo_sent_datagrams_total", { protocol: "udp" }, 2);
  expect((await datagrams(server)).received).toBe(dropped + 1);
}

describe("a datagram that could go round for ever is dropped and counted:", () => {
  test("from the ports of services that answer by themselves", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    const from = ownLoopback();
    const ports = [7, 13, 17, 19, 53, 69, 123];
    for (const fromPort of ports) {
      using client = await UdpClient.open(server.udpPort, { from, fromPort });
      client.send("loop");
    }
    await expectOnlyAnswered(server, "127.0.0.1", ports.length);
    expect(await drops(server, "blocked_source_port")).toBe(ports.length);
  });

  test("from the ports that a person listed, and no longer from the others", async () => {
    await using server = await startServer(["--host", "127.0.0.1", "--udp-blocked-source-ports", "9,20"]);
    const from = ownLoopback();
    for (const fromPort of [9, 20]) {
      using client = await UdpClient.open(server.udpPort, { from, fromPort });
      client.send("loop");
    }
    await until("both are dropped", async () => (await drops(server, "blocked_source_port")) === 2);
    using seven = await UdpClient.open(server.udpPort, { from, fromPort: 7 });
    await greet(seven);
  });

  test("from the server's own port, on any address", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    using twin = await UdpClient.open(server.udpPort, { from: ownLoopback(), fromPort: server.udpPort });
    twin.send("loop");
    await expectOnlyAnswered(server, "127.0.0.1", 1);
    expect(await drops(server, "own_port")).toBe(1);
    expect(twin.received).toEqual([]);
  });

  test("from port 0, which no client has", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    const to = { address: "127.0.0.1", port: server.udpPort };
    for (let at = 0; at < 3; at++) sendForged({ address: "127.0.0.1", port: 0 }, to, Buffer.from("nobody"));
    // Bun's own UDP sockets throw such datagrams away and tell nobody, so that engine has nothing to count.
    const seen = server.engine === "bun" ? 0 : 3;
    await expectOnlyAnswered(server, "127.0.0.1", seen);
    expect(await drops(server, "source_port_zero")).toBe(seen);
  });

  test("one forged datagram does not set two servers on one port against each other", async () => {
    const [here, there] = [ownLoopback(), ownLoopback()];
    await using first = await startServer(["--host", here, "--admin-host", "127.0.0.1"]);
    const { udpPort: port } = first;
    const same = ["--host", there, "--admin-host", "127.0.0.1", "--udp-port", String(port)];
    await using second = await startServer(same);
    sendForged({ address: here, port }, { address: there, port }, Buffer.from("round and round"));
    await until("it was dropped", async () => (await drops(second, "own_port")) === 1);
    expect(await datagrams(first)).toEqual({ received: 0, sent: 0 });
    expect(await datagrams(second)).toEqual({ received: 1, sent: 0 });
  });
});

describe("the answer to a forged address is bounded:", () => {
  test("a question gets at most the stated factor of its bytes back, headers included", async () => {
    await using server = await startServer(["--udp-amplification-max", "3"]);
    const headers = 28; // IP and UDP
    const suppressed: number[] = [];
    for (const size of [0, 10, 30, 50, 100, 500]) {
      using client = await UdpClient.open(server.udpPort);
      client.send(Buffer.alloc(size, 120));
      // The echo comes last, so when it is here all is.
      await until("the echo", () => client.received.some((datagram) => /^x*$/.test(datagram.toString())));
      const out = client.received.reduce((bytes, datagram) => bytes + headers + datagram.length, 0);
      expect(out).toBeLessThanOrEqual(3 * (headers + size));
      if (client.received.length === 1) suppressed.push(size);
    }
    // A banner has some 80 bytes: too much for small questions, and not for large ones.
    expect(suppressed).toEqual([0, 10]);
    const metrics = await server.metrics();
    expect(metrics.get("echo_udp_banners_suppressed_total", { reason: "amplification" })).toBe(2);
  });

  test("by default too, for the smallest question there is", async () => {
    await using server = await startServer();
    using client = await UdpClient.open(server.udpPort);
    client.send("");
    await until("the echo", () => client.received.some((datagram) => datagram.length === 0));
    const out = client.received.reduce((bytes, datagram) => bytes + 28 + datagram.length, 0);
    expect(out).toBeLessThanOrEqual(10 * 28);
  });
});
