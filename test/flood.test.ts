import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { untilActive } from "./clients/metrics.ts";
import { connectMany, disposeAll } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** A flood of datagrams keeps nobody else waiting: not TCP, not health, not the loop's own deadlines and orders. */

const CLIENT = fileURLToPath(new URL("./clients/udp-flood.ts", import.meta.url));

/** A process that sends without a pause until it is disposed, or its time is over. */
class Flood implements AsyncDisposable {
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess) {
    this.#child = child;
  }

  /** Resolves when the flood has come far. */
  static async start(server: EchoServer): Promise<Flood> {
    const flood = new Flood(Bun.spawn([process.execPath, CLIENT, String(server.udpPort)]));
    await until("the flood", async () => received(server));
    return flood;
  }

  get over(): boolean {
    return this.#child.exitCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

async function received(server: EchoServer): Promise<boolean> {
  return (await server.metrics()).get("echo_received_datagrams_total", { protocol: "udp" }) > 50_000;
}

/** Each round would wait for a pause in the flood: so many of them last longer than the flood does. */
const ROUNDS = 40;

test("while it goes on TCP is served, health and metrics are answered, and idle sessions end", async () => {
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

test("a server that is told to end does so while it goes on", async () => {
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
