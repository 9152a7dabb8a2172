import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { untilActive } from "./clients/metrics.ts";
import { connectMany, disposeAll } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** A flood of datagrams keeps nobody else waiting: not TCP, not health, not the loop's own deadlines and orders. */

const CLIENT = fileURLToPath(new URL("./clients/udp-flood.ts", import.meta.url));

/** Processes that send without a pause until they are disposed, or their time is over. */
class Flood implements AsyncDisposable {
  readonly #children: readonly Bun.Subprocess[];

  private constructor(children: readonly Bun.Subprocess[]) {
    this.#children = children;
  }

  /** Resolves when the flood has come far. */
  static async start(server: EchoServer, processes = 1): Promise<Flood> {
    const command = [process.execPath, CLIENT, String(server.udpPort)];
    const flood = new Flood(Array.from({ length: processes }, () => Bun.spawn(command)));
    await until("the flood", async () => received(server));
    return flood;
  }

  get over(): boolean {
    return this.#children.some(({ exitCode }) => exitCode !== null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill();
    await Promise.all(this.#children.map(({ exited }) => exited));
  }
}

async function received(server: EchoServer): Promise<boolean> {
  return (await server.metrics()).get("echo_received_datagrams_total", { protocol: "udp" }) > 50_000;
}

/** Each round would wait for a pause in the flood: so many of them last longer than the flood does. */
const ROUNDS = 40;

test("a flood leaves TCP served, health and metrics answered, and idle sessions ended", async () => {
  await using server = await startServer(["--workers", "1", "--udp-idle-timeout", "200ms"]);
  using other = await UdpClient.open(server.udpPort);
  other.send("x");
  await other.receives(2);
  await using flood = await Flood.start(server);
  for (let round = 0; round < ROUNDS; round++) {
    const clients = await connectMany(server.tcpPort, 2);
    await Promise.all(clients.map((client) => client.greeted()));
    for (const client of clients) client.send("hello");
    await until("echoes", () => clients.every((client) => client.body.toString() === "hello"));
    expect((await server.fetch("/livez")).status).toBe(200);
    disposeAll(clients);
  }
  await untilActive(server, "udp", 1); // the flood's own: that the other has ended shows that deadlines are kept
  expect(flood.over).toBe(false);
});

/** Ticks that a loop which hangs in a flood does not make before the flood is over, and one that lives makes in seconds. */
const TICKS = 15;

test("the flooded loop itself keeps its clock: it is not taken for one that hangs", async () => {
  await using server = await startServer(["--workers", "1", "--tcp-port", "off"]);
  await using flood = await Flood.start(server, 2);
  const lags = new Set<number>(); // each tick has its own
  while (lags.size < TICKS && !flood.over) {
    lags.add((await server.metrics()).get("echo_event_loop_lag_seconds", { loop: "0" }));
  }
  expect(lags.size).toBe(TICKS);
  expect((await server.fetch("/livez")).status).toBe(200);
});

test("a flood does not keep the server from ending", async () => {
  await using server = await startServer(["--workers", "1", "--drain-timeout", "100ms"]);
  await using flood = await Flood.start(server);
  const { exitCode } = await server.stop();
  expect(exitCode).toBe(0);
  expect(flood.over).toBe(false);
  const [drained, stopped] = [await server.waitForLog("drained"), await server.waitForLog("stopped")];
  expect(Date.parse(stopped.time) - Date.parse(drained.time)).toBeLessThan(4000); // not by giving up on the loop
});

test("a loop that it keeps busy dies of a fault, and is replaced", async () => {
  await using server = await startServer(["--workers", "1", "--tcp-port", "off", "--fault-injection"]);
  await using flood = await Flood.start(server);
  server.kill("SIGUSR2");
  await server.waitForLog("event loop runs again");
  using client = await UdpClient.open(server.udpPort);
  await until("a new client is served", async () => {
    client.send("x"); // some are lost where the socket's buffer is full
    await Bun.sleep(20);
    return client.received.length > 0;
  });
  expect(flood.over).toBe(false);
});
