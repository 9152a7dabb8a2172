import { afterAll, describe, expect, test } from "bun:test";
import { closeLinuxSockets } from "../../../src/client/linux/sockets.ts";
import { newRun } from "../../../src/client/payload.ts";
import { TcpSession } from "../../../src/client/tcp-session.ts";
import { askEchoes } from "../../../src/diagnose/check/tcp/echoes.ts";
import { type TcpBehaviour, tcpServer } from "../../client/servers.ts";
import { SETTINGS } from "../udp/ask.ts";
import { SOCKETS } from "./sockets.ts";

/** A session's echoes and their pace, against servers on loopback that are slow as a long way is, or wrong. */

afterAll(() => closeLinuxSockets());

/** As long as a long way's, there and back. */
const ROUND_TRIP_MS = 200;
const SIZE = 64;
const PACE = { ...SETTINGS, count: 20, size: SIZE, intervalMs: 10, timeoutMs: 2000 };

/** What came to a server, and when. */
interface Come {
  readonly atMs: number;
  readonly bytes: number;
}

/** Echoes each thing that comes after a time. @param change what becomes of the echo, given the bytes before it */
function slowServer(come: Come[] = [], change = (bytes: Buffer, _before: number): Buffer => bytes) {
  let before = 0;
  const behaviour: TcpBehaviour = {
    received(socket, bytes) {
      come.push({ atMs: performance.now(), bytes: bytes.length });
      const echo = change(Buffer.from(bytes), before);
      before += bytes.length;
      setTimeout(() => void socket.write(echo), ROUND_TRIP_MS);
    },
  };
  return tcpServer(behaviour);
}

for (const [way, sockets] of SOCKETS) {
  const ask = async (server: ReturnType<typeof tcpServer>, changed: Partial<typeof PACE> = {}) => {
    const session = await TcpSession.open(server.endpoint, { connectTimeoutMs: 8000, dial: sockets.dial });
    if (!(session instanceof TcpSession)) throw new Error(session.code);
    await using _ = session;
    const startMs = performance.now();
    const echoes = await askEchoes(
      session,
      { key: { run: newRun(), flow: 0 }, size: SIZE },
      { ...PACE, ...changed },
    );
    return { ...echoes, tookMs: performance.now() - startMs };
  };

  describe(`by ${way}`, () => {
    test("over a long way echoes keep the pace: one round trip, then the interval, and each its own time", async () => {
      const come: Come[] = [];
      using server = slowServer(come);
      const { sent, received, failure, roundTrips, tookMs } = await ask(server);
      expect({ sent, received, failure }).toEqual({ sent: 20, received: 20, failure: null });
      const { min, max } = roundTrips.quantiles()!;
      expect(min).toBeGreaterThanOrEqual(ROUND_TRIP_MS * 0.95);
      expect(max).toBeLessThan(ROUND_TRIP_MS * 2);
      // Each by itself would take 20 round trips.
      expect(tookMs).toBeGreaterThan(2 * ROUND_TRIP_MS);
      expect(tookMs).toBeLessThan(6 * ROUND_TRIP_MS);
      // The first is alone until it is back.
      expect(come[0]!.bytes).toBe(SIZE);
      expect(come[1]!.atMs - come[0]!.atMs).toBeGreaterThanOrEqual(ROUND_TRIP_MS * 0.95);
    });

    test("a byte that is wrong while others are under way: that one is wrong, and what is behind it is lost", async () => {
      using server = slowServer([], (bytes, before) => {
        if (before <= 5 * SIZE && before + bytes.length > 5 * SIZE) bytes[5 * SIZE - before]! ^= 1;
        return bytes;
      });
      const { sent, received, failure, wrong } = await ask(server);
      expect(received).toBe(5);
      expect(sent).toBeGreaterThan(7);
      expect(failure).toMatchObject({ code: "corrupted", bytes: 5 * SIZE });
      expect(wrong).toMatchObject({ what: "corrupted", message: 5, byte: 0 });
    });

    test("a message that is dropped while others are under way: the next one in its place is no stranger's", async () => {
      const [from, to] = [5 * SIZE, 6 * SIZE];
      using server = slowServer([], (bytes, before) =>
        Buffer.concat([
          bytes.subarray(0, Math.max(0, from - before)),
          bytes.subarray(Math.max(0, to - before)),
        ]),
      );
      const { received, wrong } = await ask(server);
      expect(received).toBe(5);
      expect(wrong).toMatchObject({ what: "corrupted", message: 5 });
    });

    test("one that falls silent with others under way: after what it echoed, within one timeout of that", async () => {
      using server = slowServer([], (bytes, before) => bytes.subarray(0, Math.max(0, 5 * SIZE - before)));
      const { sent, received, failure, tookMs } = await ask(server, { timeoutMs: 500 });
      expect({ sent, received }).toEqual({ sent: 20, received: 5 });
      expect(failure).toMatchObject({ code: "silent", bytes: 5 * SIZE });
      expect(tookMs).toBeLessThan(2000);
    });

    test("one that never answers is sent all, at the pace, after the first one's time", async () => {
      const come: Come[] = [];
      using server = slowServer(come, () => Buffer.alloc(0));
      const { sent, received, failure, tookMs } = await ask(server, { timeoutMs: 300 });
      expect({ sent, received }).toEqual({ sent: 20, received: 0 });
      expect(failure).toMatchObject({ code: "silent", bytes: 0 });
      expect(come[0]!.bytes).toBe(SIZE);
      expect(come[1]!.atMs - come[0]!.atMs).toBeGreaterThan(250);
      expect(tookMs).toBeLessThan(1500);
    });

    test("one whose first answer is late is silent, and what came by the end is counted all the same", async () => {
      using server = slowServer();
      const { sent, received, failure } = await ask(server, { timeoutMs: ROUND_TRIP_MS - 50 });
      expect(sent).toBe(20);
      expect(received).toBeGreaterThan(0);
      expect(received).toBeLessThan(20);
      expect(failure).toMatchObject({ code: "silent", bytes: 0 });
    });

    test("one that takes nothing is not sent more than there is room for", async () => {
      using server = tcpServer({ opened: (socket) => void socket.pause() });
      const session = await TcpSession.open(server.endpoint, { connectTimeoutMs: 8000, dial: sockets.dial });
      if (!(session instanceof TcpSession)) throw new Error(session.code);
      await using _ = session;
      const settings = { ...PACE, count: 1000, intervalMs: 0, timeoutMs: 200 };
      const { sent, received, failure } = await askEchoes(
        session,
        { key: { run: newRun(), flow: 0 }, size: 1_000_000 },
        settings,
      );
      expect(received).toBe(0);
      expect(sent).toBeLessThan(100);
      expect(failure?.code).toBe("silent");
    });
  });
}
