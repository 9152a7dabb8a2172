import { expect, test } from "bun:test";
import { untilMetric } from "./clients/metrics.ts";
import { SlowTcpClient } from "./clients/slow-tcp.ts";
import { type EchoServer, startServer } from "./harness.ts";

/** The idle timeout and readers so slow that the server itself sees nothing move: the kernel does. */

const TIMEOUT_S = 1;
const ARGS = ["--no-banner", "--udp-port", "off", "--tcp-idle-timeout", `${TIMEOUT_S}s`];

const BYTES_PER_SECOND = 60_000;

/** Its kernel tells of room in steps of about this (RFC 1122, 4.2.3.3): several of them come within a timeout. */
const RECEIVE_BUFFER_BYTES = 16_384;

async function idled(server: EchoServer): Promise<number> {
  return (await server.metrics()).get("echo_closed_total", { protocol: "tcp", reason: "idle_timeout" });
}

test("a reader of 60 kB/s with megabytes queued stays active for many timeouts", async () => {
  await using server = await startServer(ARGS);
  using client = new SlowTcpClient(server.tcpPort, RECEIVE_BUFFER_BYTES);
  await client.sendUntilQueued(server);
  await client.readSlowly(BYTES_PER_SECOND, 6 * TIMEOUT_S * BYTES_PER_SECOND);
  expect(await idled(server)).toBe(0);
  client.halfClose();
  expect(await client.readToEnd()).toBe("fin");
  expect(client.received).toBe(client.sent);
  expect(client.exact).toBe(true);
});

test("a slow reader whose bytes are all in the kernel reads them to the end, and its session goes on", async () => {
  await using server = await startServer(ARGS);
  using client = new SlowTcpClient(server.tcpPort, RECEIVE_BUFFER_BYTES);
  await client.sendAll(5 * TIMEOUT_S * BYTES_PER_SECOND);
  await untilMetric(server, "echo_sent_bytes_total", { protocol: "tcp" }, client.sent);
  await client.readSlowly(BYTES_PER_SECOND, client.sent);
  expect(client.received).toBe(client.sent);
  expect(await idled(server)).toBe(0);
  await client.sendAll(10);
  client.halfClose();
  expect(await client.readToEnd()).toBe("fin");
  expect(client.received).toBe(client.sent);
  expect(client.exact).toBe(true);
  expect(await idled(server)).toBe(0);
});

test("a reader that has acknowledged all has the same timeout as others", async () => {
  await using server = await startServer(ARGS);
  using client = new SlowTcpClient(server.tcpPort, RECEIVE_BUFFER_BYTES);
  await client.sendAll(2 * TIMEOUT_S * BYTES_PER_SECOND);
  await client.readSlowly(BYTES_PER_SECOND, client.sent);
  const readMs = performance.now();
  expect(await client.readToEnd()).toBe("fin");
  // What the receive buffer held had been acknowledged before it was read.
  expect(performance.now() - readMs).toBeLessThan((TIMEOUT_S + 1) * 1000);
  expect(await idled(server)).toBe(1);
});

test("a reader that has stopped is reset, though the kernel asks it for room again and again", async () => {
  await using server = await startServer(ARGS);
  using client = new SlowTcpClient(server.tcpPort);
  await client.sendUntilQueued(server);
  await untilMetric(server, "echo_closed_total", { protocol: "tcp", reason: "idle_timeout" }, 1);
  expect(await client.readToEnd()).toBe("reset");
  expect(client.received).toBeLessThan(client.sent);
});
