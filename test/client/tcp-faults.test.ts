import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { TcpSession } from "../../src/client/tcp-session.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { requireTools } from "../clients/tools.ts";
import { until } from "../harness.ts";
import { bad, endpoint, good, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { DIALS, freePort, socatEcho, tcpServer } from "./servers.ts";

await requireTools();

for (const [name, dial] of DIALS) {
  const options = { connectTimeoutMs: PATIENCE_MS, dial };
  const open = async (target: Endpoint): Promise<TcpSession> => good(await TcpSession.open(target, options));

  describe(`a session made by ${name} that cannot be`, () => {
    test("is refused where nobody listens", async () => {
      const failure = bad(await TcpSession.open(endpoint(`127.0.0.1:${freePort()}`), options));
      expect([failure.code, failure.bytes, failure.detail]).toEqual(["refused", 0, "ECONNREFUSED"]);
      expect(bad(await TcpSession.open(endpoint("[::1]:1"), options)).code).toBe("refused");
    });

    test("has no such address where its source is not this machine's, or of the other family", async () => {
      using server = tcpServer();
      for (const text of ["203.0.113.7:0", "[::1]:0"]) {
        const source = { address: endpoint(text).address };
        const failure = bad(await TcpSession.open(server.endpoint, { ...options, source }));
        expect([text, failure.code]).toEqual([text, "no_such_address"]);
      }
    });

    test("has a port in use where its source port is someone's", async () => {
      using server = tcpServer();
      await using first = await open(server.endpoint);
      const failure = bad(await TcpSession.open(server.endpoint, { ...options, source: first.local }));
      expect(failure.code).toBe("port_in_use_here");
    });

    test("is unreachable through a zone that there is not", async () => {
      const failure = bad(await TcpSession.open(endpoint("[fe80::1%nosuchzone]:1234"), options));
      expect(failure.code).toBe("unreachable");
    });

    test("times out where a stopped server's backlog is full, and is silent where it is not", async () => {
      await using socat = await socatEcho("TCP", ",backlog=1");
      process.kill(socat.pid, "SIGSTOP");
      const sessions: TcpSession[] = [];
      for (;;) {
        const session = await TcpSession.open(socat.endpoint, { ...options, connectTimeoutMs: SHORT_MS });
        if (!(session instanceof TcpSession)) {
          expect(session.code).toBe("timeout");
          break;
        }
        sessions.push(session);
      }
      expect(sessions.length).toBeGreaterThan(0);
      for (const session of sessions) {
        expect(bad(await session.echo(message(0), SHORT_MS)).code).toBe("silent");
        await session.reset();
      }
      // Its first SYN is dropped, and a later one is answered.
      const late = TcpSession.open(socat.endpoint, { ...options, connectTimeoutMs: PATIENCE_MS });
      await Bun.sleep(SHORT_MS);
      process.kill(socat.pid, "SIGCONT");
      await using session = good(await late);
      expect(good(await session.echo(message(1), PATIENCE_MS)).bytes).toBe(SIZE);
    });
  });

  describe(`a session made by ${name} that ends early or falls silent`, () => {
    test("is silent when nothing is answered, and well again once all that is due has come", async () => {
      const held: Buffer[] = [];
      let hold = true;
      const release = (socket: Bun.Socket<undefined>): void => {
        for (const each of held.splice(0)) socket.write(each);
      };
      const sockets: Bun.Socket<undefined>[] = [];
      using server = tcpServer({
        opened: (socket) => void sockets.push(socket),
        received(socket, bytes) {
          held.push(bytes);
          if (!hold) release(socket);
        },
      });
      await using session = await open(server.endpoint);
      for (const number of [0, 1]) {
        const failure = bad(await session.echo(message(number), SHORT_MS));
        expect([failure.code, failure.bytes, session.greeted]).toEqual(["silent", 0, false]);
      }
      expect(bad(await session.overdue(SHORT_MS)).code).toBe("silent");
      release(sockets[0]!);
      expect(await session.overdue(PATIENCE_MS)).toBeNull();
      expect(session.echoedBytes).toBe(128);
      hold = false;
      good(await session.echo(message(2), PATIENCE_MS));
    });

    test("is silent after the bytes that came, when the rest does not", async () => {
      using server = tcpServer({ received: (socket, bytes) => void socket.write(bytes.subarray(0, 40)) });
      await using session = await open(server.endpoint);
      const failure = bad(await session.echo(message(0), SHORT_MS));
      expect([failure.code, failure.bytes]).toEqual(["silent", 40]);
      expect(bad(await session.bulk(message(1), SHORT_MS)).code).toBe("corrupted");
    });

    test("is closed after the bytes that came before the FIN", async () => {
      using server = tcpServer({ received: (socket, bytes) => void socket.end(bytes.subarray(0, 30)) });
      await using session = await open(server.endpoint);
      const failure = bad(await session.echo(message(0), PATIENCE_MS));
      expect([failure.code, failure.bytes]).toEqual(["closed", 30]);
      expect(session.ended?.code).toBe("closed");
    });

    test("is closed when the FIN comes before anything else", async () => {
      using server = tcpServer({ opened: (socket) => void socket.end() });
      await using session = await open(server.endpoint);
      expect(["closed", "reset"]).toContain(bad(await session.echo(message(0), PATIENCE_MS)).code);
    });

    test("is reset after the bytes that came before", async () => {
      using server = tcpServer({
        async received(socket, bytes) {
          socket.write(bytes.subarray(0, 20));
          await Bun.sleep(SHORT_MS); // a reset throws away what the client has not read
          socket.terminate();
        },
      });
      await using session = await open(server.endpoint);
      const failure = bad(await session.echo(message(0), PATIENCE_MS));
      expect([failure.code, failure.bytes]).toEqual(["reset", 20]);
    });

    test("is reset when it is turned away as soon as it is there", async () => {
      using server = tcpServer({ opened: (socket) => socket.terminate() });
      for (let visit = 0; visit < 50; visit++) {
        const session = await TcpSession.open(server.endpoint, options);
        if (!(session instanceof TcpSession)) {
          expect(session.code).toBe("reset");
          continue;
        }
        expect(bad(await session.echo(message(0), PATIENCE_MS)).code).toBe("reset");
        await session.reset();
      }
    });
  });

  test(`many sessions made by ${name} leave no descriptor behind`, async () => {
    using server = tcpServer();
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const nobody = endpoint(`127.0.0.1:${freePort()}`);
    const visit = async (): Promise<void> => {
      await using session = await open(server.endpoint);
      good(await session.echo(message(0), PATIENCE_MS));
      bad(await TcpSession.open(nobody, options));
      await (await open(server.endpoint)).end();
    };
    await visit();
    const before = descriptors();
    for (let count = 0; count < 100; count++) await visit();
    // The server's end of the latest sessions may still be open.
    await until("descriptors are given back", () => descriptors() <= before);
  });
}
