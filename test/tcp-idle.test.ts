import { expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { isStopped, openFilesMax } from "./clients/machine.ts";
import { untilActive } from "./clients/metrics.ts";
import { untilStill } from "./clients/still.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { startServer, until } from "./harness.ts";

/** The idle timeout: right to within a second, whether ten sessions or ten thousand are watched. */

const MANY = Math.min(10_000, openFilesMax() - 1000);

/** Lets Bun take the clock and the server's tick round a little differently. */
const ROUNDING_MS = 20;

for (const [count, timeoutMs] of [
  [10, 1000],
  [MANY, 2000],
] as const) {
  test(`${count} idle sessions are closed by a FIN, none early, all within a second after their time`, async () => {
    await using server = await startServer(["--tcp-idle-timeout", `${timeoutMs}ms`]);
    const clients: TcpClient[] = [];
    const startedMs = new Map<TcpClient, number>();
    // In waves, so that ten thousand handshakes do not take longer than the timeout.
    while (clients.length < count) {
      const started = performance.now();
      const wave = await connectMany(server.tcpPort, Math.min(500, count - clients.length), {
        countOnly: true,
      });
      for (const client of wave) startedMs.set(client, started);
      clients.push(...wave);
    }
    await until("the last one is greeted", () => clients.every((client) => client.bytesReceived > 0));
    // The clock that says "too late" runs beside the sessions: a machine that stands still delays both.
    const tooLate = Bun.sleep(timeoutMs + 1000);
    await Promise.race([tooLate, Promise.all(clients.map((client) => client.ended))]);
    expect(clients.filter((client) => client.ending !== "fin").length).toBe(0);
    const shortest = Math.min(...clients.map((client) => client.endedMs - startedMs.get(client)!));
    expect(shortest).toBeGreaterThanOrEqual(timeoutMs - ROUNDING_MS);
    await untilActive(server, "tcp", 0);
    const closed = (await server.metrics()).get("echo_closed_total", {
      protocol: "tcp",
      reason: "idle_timeout",
    });
    expect(closed).toBe(count);
  });
}

test("a session that moves a byte now and then stays open while idle ones are closed", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "1s"]);
  using busy = await TcpClient.connect(server.tcpPort);
  for (let generation = 0; generation < 2; generation++) {
    const idle = await connectMany(server.tcpPort, 20);
    while (idle.some((client) => client.ending === null)) {
      expect(await busy.echoes("x")).toBe(true);
      await Bun.sleep(100);
    }
    expect(idle.every((client) => client.ending === "fin")).toBe(true);
    disposeAll(idle);
  }
  expect(busy.ending).toBeNull();
});

test("a timeout of 0 closes no session", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "off"]);
  await using control = await startServer(["--tcp-idle-timeout", "300ms"]);
  using kept = await TcpClient.connect(server.tcpPort);
  using closed = await TcpClient.connect(control.tcpPort);
  expect(await closed.ended).toBe("fin");
  expect(await kept.echoes("still here")).toBe(true);
});

test("a session whose bytes came in time goes on, however late the server is to read them", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "1s"]);
  const clients = await connectMany(server.tcpPort, 10);
  for (const client of clients) await client.greeted();
  server.kill("SIGSTOP");
  try {
    await until("the server has stopped", () => isStopped(server.pid));
    for (const client of clients) client.send("in time");
    await Bun.sleep(1500);
  } finally {
    server.kill("SIGCONT");
  }
  for (const client of clients) expect((await client.echoed(7)).toString()).toBe("in time");
  expect(clients.every((client) => client.ending === null)).toBe(true);
  for (const client of clients) expect(await client.ended).toBe("fin"); // now they are idle
});

test("a session whose client made room in time goes on, however late the server is to fill it", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "2s"]);
  const clients = await connectMany(server.tcpPort, 5, { stalled: true });
  const sum = (what: "bytesSent" | "bytesReceived") => clients.reduce((all, client) => all + client[what], 0);
  const bytes = patternBytes(16_000_000);
  for (const client of clients) client.send(bytes);
  await untilStill("all are held back", () => sum("bytesSent"));
  server.kill("SIGSTOP");
  try {
    await until("the server has stopped", () => isStopped(server.pid));
    for (const client of clients) client.resume();
    await untilStill("all that is in the kernel has come", () => sum("bytesReceived"));
    await Bun.sleep(2500);
  } finally {
    server.kill("SIGCONT");
  }
  for (const client of clients) expect((await client.echoed(bytes.length)).equals(bytes)).toBe(true);
  disposeAll(clients);
});
