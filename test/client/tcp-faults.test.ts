import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { makePayload, newRun, readPayload } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { type Endpoint, formatEndpoint } from "../../src/net/endpoint.ts";
import { requireTools } from "../clients/tools.ts";
import { until } from "../harness.ts";
import { bad, DIALS, endpoint, freePort, good, PATIENCE_MS, socatEcho, tcpServer } from "./servers.ts";

await requireTools();

const KEY = { run: newRun(), flow: 1 };
const BANNER = "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.0.0.1:1234\nClient: 10.0.0.2:5\n\n";

/** For what is meant to fail by time: long enough for a busy machine to connect and to answer. */
const SHORT_MS = 300;

const message = (number: number, size = 64): Uint8Array => makePayload(KEY, number, size);
const read = (bytes: Uint8Array | null, sent: number) => readPayload(bytes!, KEY, sent, () => 64);

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
    });
  });

  describe(`a session made by ${name} that goes wrong`, () => {
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

    test("is corrupted at the first wrong byte, and stays so", async () => {
      using server = tcpServer({
        received(socket, bytes) {
          bytes[50]! ^= 1;
          socket.write(bytes);
        },
      });
      await using session = await open(server.endpoint);
      const failure = bad(await session.echo(message(0), PATIENCE_MS));
      expect([failure.code, failure.bytes]).toEqual(["corrupted", 50]);
      expect(read(failure.received, 1)).toEqual({ kind: "corrupted", number: 0 });
      expect(bad(await session.echo(message(1), PATIENCE_MS)).code).toBe("corrupted");
      expect(bad(await session.halfClose(message(2), PATIENCE_MS)).code).toBe("corrupted");
    });

    test("shows a message that came twice, by what came in place of the next", async () => {
      using server = tcpServer({
        received(socket, bytes) {
          socket.write(bytes);
          socket.write(bytes);
        },
      });
      await using session = await open(server.endpoint);
      good(await session.echo(message(0), PATIENCE_MS));
      const failure = bad(await session.echo(message(1), PATIENCE_MS));
      expect([failure.code, failure.bytes]).toEqual(["corrupted", 64 + 11]); // the same run and flow
      expect(read(failure.received, 2)).toEqual({ kind: "own", number: 0 });
    });

    test("shows what is another session's", async () => {
      const sockets: Bun.Socket<undefined>[] = [];
      using server = tcpServer({
        opened: (socket) => void sockets.push(socket),
        received: (socket, bytes) => void sockets.find((other) => other !== socket)?.write(bytes),
      });
      await using one = await open(server.endpoint);
      await using other = await open(server.endpoint);
      const asked = [
        one.echo(message(0), PATIENCE_MS),
        other.echo(makePayload({ ...KEY, flow: 2 }, 0, 64), PATIENCE_MS),
      ];
      const [failure] = await Promise.all(asked);
      expect(bad(failure).code).toBe("corrupted");
      expect(read(bad(failure).received, 1)).toEqual({ kind: "crossed", flow: 2 });
    });

    test("that sends without being asked costs bounded memory, and is corrupted", async () => {
      const flood = new Uint8Array(256 * 1024).fill(0xff);
      const pour = (socket: Bun.Socket<undefined>): void => {
        for (let n = 0; n < 64 && socket.write(flood) === flood.length; n++);
      };
      using server = tcpServer({ opened: pour });
      await using session = await open(server.endpoint);
      while (session.excessBytes <= 1024 * 1024) await Bun.sleep(5);
      await Bun.sleep(SHORT_MS);
      expect(session.excessBytes).toBeLessThan(3 * 1024 * 1024);
      expect(bad(await session.echo(message(0), PATIENCE_MS)).code).toBe("corrupted");
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

  describe(`a session made by ${name} that begins`, () => {
    const greet = (write: (socket: Bun.Socket<undefined>) => Promise<void> | void) =>
      tcpServer({ opened: (socket) => void write(socket), received: () => {} });

    test("with a banner in pieces of one byte is greeted", async () => {
      const bytes = Buffer.concat([Buffer.from(BANNER), message(0)]);
      using server = greet(async (socket) => {
        for (let at = 0; at < bytes.length; at++) {
          socket.write(bytes.subarray(at, at + 1));
          await Bun.sleep(1);
        }
      });
      await using session = await open(server.endpoint);
      good(await session.echo(message(0), PATIENCE_MS));
      expect(formatEndpoint(session.banner!.server)).toBe("10.0.0.1:1234");
      expect(session.echoedBytes).toBe(64);
    });

    test("with banner and echo in one piece is greeted", async () => {
      using server = greet((socket) => void socket.write(Buffer.concat([Buffer.from(BANNER), message(0)])));
      await using session = await open(server.endpoint);
      good(await session.echo(message(0), PATIENCE_MS));
      expect(session.banner?.length).toBe(BANNER.length);
    });

    test("with half a banner and nothing more is silent, with something else is corrupted", async () => {
      using half = greet((socket) => void socket.write(BANNER.slice(0, 50)));
      await using halfGreeted = await open(half.endpoint);
      const silent = bad(await halfGreeted.echo(message(0), SHORT_MS));
      expect([silent.code, silent.bytes, halfGreeted.greeted]).toEqual(["silent", 0, false]);
      using other = greet((socket) => void socket.write("220 mail.example ready\r\n"));
      await using mail = await open(other.endpoint);
      const failure = bad(await mail.echo(message(0), PATIENCE_MS));
      expect([failure.code, failure.bytes]).toEqual(["corrupted", 0]);
      expect(Buffer.from(failure.received!).toString()).toBe("220 mail.example ready\r\n");
    });
  });

  describe(`a half-close made by ${name}`, () => {
    test("is cut where the tail ends by a FIN before it is whole", async () => {
      using server = tcpServer({
        received: () => {},
        finished: (socket) => void socket.end(message(0, 1000).subarray(0, 700)),
      });
      await using session = await open(server.endpoint);
      const halfClose = good(await session.halfClose(message(0, 1000), PATIENCE_MS));
      expect(halfClose).toEqual({ tail: "cut", bytes: 700, due: 1000, endedBy: "fin" });
    });

    test("is cut where the session is reset for it", async () => {
      using server = tcpServer({ received: () => {}, finished: (socket) => socket.terminate() });
      await using session = await open(server.endpoint);
      const halfClose = good(await session.halfClose(message(0, 1000), PATIENCE_MS));
      expect(halfClose).toEqual({ tail: "cut", bytes: 0, due: 1000, endedBy: "reset" });
    });

    test("has no end where all came and then nothing", async () => {
      using server = tcpServer({ finished: () => {} });
      await using session = await open(server.endpoint);
      const halfClose = good(await session.halfClose(message(0), SHORT_MS));
      expect(halfClose).toEqual({ tail: "no_end", bytes: 64, due: 64, endedBy: null });
      const more = bad(await session.echo(message(1), PATIENCE_MS));
      expect(`${more}`).toBe("ended after 64 bytes (half-closed)");
    });

    test("is silent where neither the tail nor an end comes", async () => {
      using server = tcpServer({ received: () => {}, finished: () => {} });
      await using session = await open(server.endpoint);
      const failure = bad(await session.halfClose(message(0), SHORT_MS));
      expect([failure.code, failure.bytes]).toEqual(["silent", 0]);
    });

    test("is corrupted where more comes back than went", async () => {
      using server = tcpServer({ finished: (socket) => void socket.end("more") });
      await using session = await open(server.endpoint);
      expect(bad(await session.halfClose(message(0), PATIENCE_MS)).code).toBe("corrupted");
    });

    test("waits as long as something moves, however slowly", async () => {
      const bytes = message(0, 100);
      using server = tcpServer({
        received: () => {},
        async finished(socket) {
          for (let at = 0; at < 100; at += 10) {
            socket.write(bytes.subarray(at, at + 10));
            await Bun.sleep(SHORT_MS / 5);
          }
          socket.end();
        },
      });
      await using session = await open(server.endpoint);
      expect(good(await session.halfClose(bytes, SHORT_MS)).tail).toBe("whole");
    });
  });
}
