import { describe, expect, test } from "bun:test";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Several loops behave as one server: caps, counters, drain, and a loop that dies. */

const WORKERS = ["--workers", "2"];

/** One TCP client that keeps what it gets. */
class Client implements Disposable {
  received = "";
  closed = false;
  #socket: Bun.Socket | null = null;

  static async connect(server: EchoServer): Promise<Client> {
    const client = new Client();
    const connecting = Bun.connect({
      hostname: "127.0.0.1",
      port: server.tcpPort,
      socket: {
        data: (_socket, chunk) => {
          client.received += chunk.toString();
        },
        close: () => {
          client.closed = true;
        },
        end: () => {
          client.closed = true;
        },
        error: () => {},
      },
    });
    // A refusal can be quicker than the client's own look at its connection.
    client.#socket = await connecting.catch(() => null);
    if (client.#socket === null) client.closed = true;
    return client;
  }

  get greeted(): boolean {
    return this.received.includes("\n\n");
  }

  /** Sends a word and waits for it to come back; false if the session is over. */
  async echo(word: string): Promise<boolean> {
    this.#socket!.write(word);
    await until(`an echo of ${word}, or the end`, () => this.closed || this.received.endsWith(word));
    return !this.closed;
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
  }
}

async function connectAll(server: EchoServer, count: number): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => Client.connect(server)));
  await until("each is greeted or refused", () => clients.every((client) => client.greeted || client.closed));
  return clients;
}

describe("two loops", () => {
  test("share the cap of sessions exactly", async () => {
    await using server = await startServer([...WORKERS, "--max-tcp-sessions", "10"]);
    const clients = await connectAll(server, 40);
    expect(clients.filter((client) => !client.closed).length).toBe(10);
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_active", { protocol: "tcp" })).toBe(10);
    expect(metrics.get("echo_refused_total", { protocol: "tcp", reason: "max_sessions" })).toBe(30);
    for (const client of clients) client[Symbol.dispose]();
    await until("all places are free again", async () => {
      return (await server.metrics()).get("echo_sessions_active", { protocol: "tcp" }) === 0;
    });
  });

  test("share the cap of sessions for one client address exactly", async () => {
    await using server = await startServer([...WORKERS, "--max-tcp-sessions-per-client", "7"]);
    const clients = await connectAll(server, 30);
    expect(clients.filter((client) => !client.closed).length).toBe(7);
    for (const client of clients) client[Symbol.dispose]();
    await until("its places are free again", async () => {
      return (await server.metrics()).get("echo_sessions_active", { protocol: "tcp" }) === 0;
    });
    const again = await connectAll(server, 7);
    expect(again.every((client) => !client.closed)).toBe(true);
    for (const client of again) client[Symbol.dispose]();
  });

  test("keep a UDP session in one loop", async () => {
    await using server = await startServer(WORKERS);
    const answers: string[][] = [];
    const sockets = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        answers[index] = [];
        return await Bun.udpSocket({
          connect: { hostname: "127.0.0.1", port: server.udpPort },
          socket: { data: (_socket, data) => void answers[index]!.push(data.toString()) },
        });
      }),
    );
    for (let round = 0; round < 5; round++) {
      for (const [index, socket] of sockets.entries()) socket.send(`${index}/${round}`);
      await until("every client has its answers", () => answers.every((own) => own.length === round + 2));
    }
    for (const [index, own] of answers.entries()) {
      expect(own[0]).toContain("Server: 127.0.0.1:");
      expect(own.slice(1)).toEqual([0, 1, 2, 3, 4].map((round) => `${index}/${round}`));
    }
    expect((await server.metrics()).get("echo_sessions_opened_total", { protocol: "udp" })).toBe(40);
    for (const socket of sockets) socket.close();
  });

  test("a second server cannot join the port unseen", async () => {
    await using server = await startServer(WORKERS);
    const second = startServer([...WORKERS, "--tcp-port", String(server.tcpPort), "--host", "127.0.0.1"]);
    await expect(second).rejects.toThrow("the port is in use");
  });

  test("drain as one", async () => {
    await using server = await startServer([...WORKERS, "--drain-timeout", "20s"]);
    const clients = await connectAll(server, 20);
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    for (const client of clients) expect(await client.echo("still here")).toBe(true);
    for (const client of clients) client[Symbol.dispose]();
    expect(await server.exited).toBe(0);
    const drained = await server.waitForLog("drained");
    expect(drained["finished"]).toBe(20);
    expect(drained["cut"]).toBe(0);
  });
});

test("a loop that throws takes only its own sessions with it, and is replaced", async () => {
  await using server = await startServer(WORKERS, { env: { ECHO_FAULT_INJECTION: "true" } });
  const clients = await connectAll(server, 40);
  server.kill("SIGUSR2");
  await server.waitForLog("event loop restarted");
  const metrics = await server.metrics();
  expect(metrics.get("echo_worker_restarts_total")).toBe(1);
  const died = metrics.get("echo_closed_total", { protocol: "tcp", reason: "worker_died" });
  expect(died).toBeGreaterThan(0);
  expect(died).toBeLessThan(40);
  await until("the dead loop's sessions are closed", () => clients.filter((c) => c.closed).length === died);
  for (const client of clients.filter((c) => !c.closed)) expect(await client.echo("alive")).toBe(true);
  expect(metrics.get("echo_sessions_active", { protocol: "tcp" })).toBe(40 - died);
  // The kernel spreads newcomers over both listeners: that all are served means the new loop is there.
  const later = await connectAll(server, 40);
  for (const client of later) expect(await client.echo("welcome")).toBe(true);
  expect((await server.metrics()).get("echo_sessions_active", { protocol: "tcp" })).toBe(80 - died);
  for (const client of [...clients, ...later]) client[Symbol.dispose]();
}, 60_000);
