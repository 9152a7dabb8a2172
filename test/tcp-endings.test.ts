import { describe, expect, test } from "bun:test";
import { untilActive, untilMetric } from "./clients/metrics.ts";
import { SlowTcpClient } from "./clients/slow-tcp.ts";
import { SyncTcp } from "./clients/sync-tcp.ts";
import { TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** How the server ends sessions that have queued bytes: by a FIN after the last of them, else by a reset. */

const PLAIN = ["--no-banner", "--udp-port", "off"];

async function closed(server: EchoServer, reason: string): Promise<number> {
  return (await server.metrics()).get("echo_closed_total", { protocol: "tcp", reason });
}

describe("a session that is cut at the end of the drain", () => {
  test("and whose reader has stopped is reset, because bytes are queued, and the log says so", async () => {
    await using server = await startServer([...PLAIN, "--drain-timeout", "0s"]);
    using client = new SlowTcpClient(server.tcpPort);
    await client.sendUntilQueued(server);
    expect((await server.stop()).exitCode).toBe(0);
    expect(await client.readToEnd()).toBe("reset");
    expect(client.received).toBeLessThan(client.sent);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 0, cutShort: 1, died: 0 });
  });

  test("and goes on reading gets every queued byte, then FIN", async () => {
    await using server = await startServer([...PLAIN, "--drain-timeout", "0s"]);
    using client = new SlowTcpClient(server.tcpPort);
    await client.sendUntilQueued(server);
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    expect(await client.readToEnd()).toBe("fin");
    expect(client.received).toBe(client.sent);
    expect(client.exact).toBe(true);
    client[Symbol.dispose]();
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 1, cutShort: 0, died: 0 });
  });

  test("gets the echo of bytes that had come by then unread", async () => {
    await using server = await startServer([...PLAIN, "--drain-timeout", "0s"]);
    using client = new SlowTcpClient(server.tcpPort);
    await client.sendUntilQueued(server);
    await client.sendAll(30_000); // it fits into the receive buffer that the server does not read
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    expect(await client.readToEnd()).toBe("fin");
    expect(client.received).toBe(client.sent);
    expect(client.exact).toBe(true);
  });

  test("gets all that the kernel has taken, even if it reads only after the server has ended", async () => {
    await using server = await startServer([...PLAIN, "--drain-timeout", "0s"]);
    using client = new SlowTcpClient(server.tcpPort);
    await client.sendAll(1_000_000);
    await untilMetric(server, "echo_sent_bytes_total", { protocol: "tcp" }, 1_000_000);
    expect((await server.stop()).exitCode).toBe(0);
    expect(await client.readToEnd()).toBe("fin");
    expect(client.received).toBe(1_000_000);
    expect(client.exact).toBe(true);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 1, cutShort: 0 });
  });

  test("and has sent its own FIN is closed only after it has all bytes", async () => {
    await using server = await startServer([...PLAIN, "--drain-timeout", "0s"]);
    using client = new SlowTcpClient(server.tcpPort);
    await client.sendUntilQueued(server);
    client.halfClose();
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    expect(await client.readToEnd()).toBe("fin");
    expect(client.received).toBe(client.sent);
    expect(await server.exited).toBe(0);
  });

  test("and left by a reset behind its FIN, with bytes on their way to it, is not waited for", async () => {
    const args = [...PLAIN, "--drain-timeout", "0s"];
    await using server = await startServer(args);
    await using other = await startServer(args);
    using leaver = new SyncTcp(server.tcpPort, false);
    using silent = new SyncTcp(other.tcpPort, false);
    for (const [at, client] of [leaver, silent].entries()) {
      client.send(300_000); // the kernel takes it all, and the client reads nothing
      await untilMetric([server, other][at]!, "echo_sent_bytes_total", { protocol: "tcp" }, client.sent);
    }
    other.kill("SIGTERM");
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    await Bun.sleep(300); // time for the cut; and for the FIN to be seen before the reset
    leaver.sendFin();
    await Bun.sleep(300);
    leaver.reset();
    // The other server waits for its client as long as it waits for anybody.
    expect(await Promise.race([server.exited.then(() => "first"), other.exited.then(() => "last")])).toBe(
      "first",
    );
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 1, cutShort: 0 });
  });
});

describe("when an event loop dies", () => {
  test("sessions with queued bytes are reset, the others get FIN, and each is counted once", async () => {
    await using server = await startServer([...PLAIN, "--workers", "1", "--fault-injection"]);
    using slow = new SlowTcpClient(server.tcpPort);
    await slow.sendUntilQueued(server);
    using quiet = await TcpClient.connect(server.tcpPort);
    quiet.send("quiet");
    await quiet.receivedBytes(5);
    server.kill("SIGUSR2");
    expect(await quiet.ended).toBe("fin");
    expect(await slow.readToEnd()).toBe("reset");
    expect(slow.received).toBeLessThan(slow.sent);
    await untilActive(server, "tcp", 0);
    expect(await closed(server, "worker_died")).toBe(2);
    const metrics = await server.metrics();
    expect(metrics.get("echo_session_duration_seconds_count", { protocol: "tcp" })).toBe(2);
    expect(metrics.get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(2);
    expect(metrics.get("echo_queued_bytes")).toBe(0);
  });

  test("during a drain, the log counts dead sessions apart from finished ones", async () => {
    await using server = await startServer([...PLAIN, "--workers", "2", "--fault-injection"]);
    const clients: TcpClient[] = [];
    // The kernel spreads them over both loops.
    for (let count = 0; count < 20; count++) {
      const client = await TcpClient.connect(server.tcpPort);
      client.send("x");
      await client.receivedBytes(1);
      clients.push(client);
    }
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    server.kill("SIGUSR2");
    await server.waitForLog("event loop died while draining"); // by then each of its sessions is counted
    const died = await closed(server, "worker_died");
    await until(
      "a loop's sessions have ended",
      () => clients.filter((c) => c.ending !== null).length === died,
    );
    for (const client of clients) if (client.ending === null) client.halfClose();
    expect(await server.exited).toBe(0);
    const line = await server.waitForLog("drained");
    expect(line).toMatchObject({ finished: 20 - died, cut: 0, cutShort: 0, died });
  });
});
