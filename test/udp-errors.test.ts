import { expect, test } from "bun:test";
import { UdpClient } from "./clients/udp.ts";
import { startServer, until } from "./harness.ts";

/** What goes wrong between a socket and the kernel. Dead peers are in `udp-limits`, send failures in `bun-udp`. */

test("a burst waits in the kernel while the server is busy", async () => {
  const bufferMax = Math.min(Number(await Bun.file("/proc/sys/net/core/rmem_max").text()), 4 * 1024 * 1024);
  // The kernel doubles what is asked for (socket(7)) and counts 832 bytes for a datagram of 64.
  const burst = Math.min(4000, Math.floor((bufferMax * 2 * 0.75) / 832));
  await using server = await startServer(["--no-banner"]);
  using client = await UdpClient.open(server.udpPort);
  await client.asks("a session");
  server.kill("SIGSTOP");
  for (let count = 0; count < burst; count++) client.send(new Uint8Array(64));
  server.kill("SIGCONT");
  const datagrams = async (what: string): Promise<number> =>
    (await server.metrics()).get(`echo_${what}_datagrams_total`, { protocol: "udp" });
  await until("all of it is received", async () => (await datagrams("received")) === burst + 1);
  await until("all of it is answered", async () => (await datagrams("sent")) === burst + 1);
});

test("several hosts share one port, in UDP and in TCP", async () => {
  const hosts = ["127.0.0.1", "::1", "127.0.0.9"];
  await using server = await startServer(hosts.flatMap((host) => ["--host", host]));
  const shown = ["127.0.0.1", "[::1]", "127.0.0.9"];
  expect(server.udp).toEqual(shown.map((host) => `${host}:${server.udpPort}`));
  expect(server.tcp).toEqual(shown.map((host) => `${host}:${server.tcpPort}`));
  for (const host of hosts) {
    using client = await UdpClient.open(server.udpPort, { host });
    expect(await client.asks(host)).not.toBeEmpty();
  }
});

test("0.0.0.0 hears no IPv6, and its unlisted addresses like its listed ones", async () => {
  await using server = await startServer(["--host", "0.0.0.0", "--no-banner"]);
  expect([...server.udp, ...server.tcp].filter((address) => address.startsWith("["))).toEqual([]);
  using client = await UdpClient.open(server.udpPort, { host: "127.0.0.3" });
  expect((await client.asks("here")).toString()).toBe("here");
});
