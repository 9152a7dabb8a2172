import { describe, expect, test } from "bun:test";
import { untilActive } from "./clients/metrics.ts";
import { disposeAll, TcpClient } from "./clients/tcp.ts";
import { startServer, until } from "./harness.ts";

/** How a server ends: what becomes of those it serves, of newcomers, and of itself. */

describe("SIGTERM and SIGINT", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} without sessions: out at once, with 0`, async () => {
      await using server = await startServer();
      const { exitCode, stderr } = await server.stop(signal);
      expect(exitCode).toBe(0);
      expect(stderr).toBe("");
      expect(server.log.map(({ msg }) => msg)).toEqual(["ready", "draining", "drained", "stopped"]);
      expect(server.log[1]).toMatchObject({ signal, tcpSessions: 0 });
      expect(server.log[2]).toMatchObject({ finished: 0, cut: 0 });
    });
  }

  test("a second signal ends it at once", async () => {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      await using server = await startServer(["--drain-timeout", "1h"]);
      using client = await TcpClient.connect(server.tcpPort);
      await client.greeted();
      expect(await client.echoes("stay")).toBe(true);
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      expect((await server.stop(signal)).exitCode).toBe(code);
      expect(server.log.some(({ msg }) => msg === "drained")).toBe(false);
    }
  });
});

describe("TCP sessions in a drain", () => {
  test("sessions may finish, newcomers are refused, readiness fails, and the log counts them", async () => {
    await using server = await startServer(["--drain-timeout", "1h"]);
    using one = await TcpClient.connect(server.tcpPort);
    await one.greeted();
    using two = await TcpClient.connect(server.tcpPort);
    await two.greeted();
    expect(await one.echoes("before")).toBe(true);
    expect(await two.echoes("before")).toBe(true);
    expect((await server.fetch("/readyz")).status).toBe(200);
    expect((await server.metrics()).get("echo_sessions_active", { protocol: "tcp" })).toBe(2); // readyz is none
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    const ready = await server.fetch("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.text()).toBe("not ready: draining\n");
    expect((await server.fetch("/livez")).status).toBe(200);
    expect(await one.echoes("while draining")).toBe(true);
    using newcomer = await TcpClient.connect(server.tcpPort);
    expect(await newcomer.ended).toBeOneOf(["refused", "reset"]);
    expect(newcomer.bytesReceived).toBe(0);
    one.halfClose();
    two.halfClose();
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 2, cut: 0 });
  });

  test("of 1,000 sessions in flight none loses a byte", async () => {
    await using server = await startServer(["--drain-timeout", "1h", "--no-banner", "--udp-port", "off"]);
    const piece = "0123456789abcdef".repeat(4096); // 64 KiB
    const clients: TcpClient[] = [];
    try {
      while (clients.length < 1000) {
        const batch = Array.from({ length: 50 }, () => TcpClient.connect(server.tcpPort));
        clients.push(...(await Promise.all(batch)));
      }
      await untilActive(server, "tcp", clients.length); // one that still waits to be accepted is a newcomer
      for (const client of clients) client.send(piece);
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      for (const client of clients) {
        client.send(piece);
        client.halfClose();
      }
      for (const client of clients) {
        expect(await client.ended).toBe("fin");
        expect(client.received.toString("latin1") === piece + piece).toBe(true);
      }
      expect(await server.exited).toBe(0);
      expect(await server.waitForLog("drained")).toMatchObject({ finished: 1000, cut: 0 });
    } finally {
      disposeAll(clients);
    }
  });
});

describe("TCP sessions that a drain cuts", () => {
  test("a session that has not finished by the drain timeout is cut, by a FIN after its queued bytes", async () => {
    await using server = await startServer(["--drain-timeout", "300ms"]);
    using idle = await TcpClient.connect(server.tcpPort);
    await idle.greeted();
    using done = await TcpClient.connect(server.tcpPort);
    await done.greeted();
    expect(await idle.echoes("idle")).toBe(true);
    expect(await done.echoes("done")).toBe(true);
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    done.halfClose();
    expect(await idle.ended).toBe("fin");
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 1, cut: 1 });
  });

  test("bytes that a client sends after the FIN of a cut are thrown away, and cause no reset", async () => {
    await using server = await startServer(["--drain-timeout", "0s"]);
    const greeted = Promise.withResolvers<void>();
    let ending = "none";
    await Bun.connect({
      hostname: "127.0.0.1",
      port: server.tcpPort,
      allowHalfOpen: true,
      socket: {
        data: () => greeted.resolve(),
        end(socket) {
          ending = "fin";
          socket.write("last words");
          setTimeout(() => socket.end(), 50); // time enough for the reset that a closed socket would send
        },
        close: (_socket, error) => {
          if (error !== undefined) ending = "reset";
        },
      },
    });
    await greeted.promise;
    expect((await server.stop()).exitCode).toBe(0);
    expect(ending).toBe("fin");
  });

  test("a client that does not answer the FIN does not delay the end", async () => {
    await using server = await startServer(["--drain-timeout", "0s"]);
    using deaf = await TcpClient.connect(server.tcpPort);
    await deaf.greeted();
    expect(await deaf.echoes("here")).toBe(true);
    deaf.stall(); // a FIN is not seen while nothing is read
    const { exitCode } = await server.stop();
    expect(exitCode).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 1 });
  });
});

describe("UDP sessions in a drain", () => {
  test("go on while they are busy; new ones are refused, and hold nobody up", async () => {
    await using server = await startServer(["--tcp-port", "off", "--drain-timeout", "1h"]);
    const echoes: string[] = [];
    const open = (sink: string[]) =>
      Bun.udpSocket({
        connect: { hostname: "127.0.0.1", port: server.udpPort },
        socket: { data: (_socket, datagram) => void sink.push(datagram.toString("latin1")), error() {} },
      });
    const known = await open(echoes);
    const strangers: string[] = [];
    const stranger = await open(strangers);
    let asking: Timer | undefined;
    try {
      known.send("first");
      await until("the first echo", () => echoes.includes("first"));
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      for (let round = 0; round < 15; round++) {
        stranger.send("new");
        known.send(`round ${round}`);
        await until(`echo of round ${round}`, () => echoes.includes(`round ${round}`));
        await Bun.sleep(100); // busy for longer than the second of silence that ends UDP's drain
      }
      expect(server.log.some(({ msg }) => msg === "drained")).toBe(false);
      expect(strangers).toEqual([]);
      expect(
        (await server.metrics()).get("echo_refused_total", { protocol: "udp", reason: "draining" }),
      ).toBe(15);
      asking = setInterval(() => stranger.send("new"), 100);
      expect(await server.exited).toBe(0); // in the silence of the known one
      expect(strangers).toEqual([]);
    } finally {
      clearInterval(asking);
      known.close();
      stranger.close();
    }
  });
});
