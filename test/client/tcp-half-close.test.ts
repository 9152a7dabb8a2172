import { describe, expect, test } from "bun:test";
import { TcpSession } from "../../src/client/tcp-session.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { bad, good, message, PATIENCE_MS, SHORT_MS } from "./fixtures.ts";
import { DIALS, tcpServer } from "./servers.ts";

for (const [name, dial] of DIALS) {
  const options = { connectTimeoutMs: PATIENCE_MS, dial };
  const open = async (target: Endpoint): Promise<TcpSession> => good(await TcpSession.open(target, options));

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
