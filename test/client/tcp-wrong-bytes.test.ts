import { describe, expect, test } from "bun:test";
import { makePayload, readPayload } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { type Endpoint, formatEndpoint } from "../../src/net/endpoint.ts";
import { bad, good, KEY, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { DIALS, tcpServer } from "./servers.ts";

const BANNER = "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.0.0.1:1234\nClient: 10.0.0.2:5\n\n";

const read = (bytes: Uint8Array | null, sent: number) => readPayload(bytes!, KEY, sent, () => SIZE);

for (const [name, dial] of DIALS) {
  const options = { connectTimeoutMs: PATIENCE_MS, dial };
  const open = async (target: Endpoint): Promise<TcpSession> => good(await TcpSession.open(target, options));

  describe(`a session made by ${name} that brings wrong bytes`, () => {
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
      expect([failure.code, failure.bytes]).toEqual(["corrupted", SIZE + 11]); // the same run and flow
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
        other.echo(makePayload({ ...KEY, flow: 2 }, 0, SIZE), PATIENCE_MS),
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
      expect(session.echoedBytes).toBe(SIZE);
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
}
