import { describe, expect, test } from "bun:test";
import type { Dial } from "../../src/client/dial.ts";
import { Failure } from "../../src/client/failure.ts";
import { makePayload } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/net/endpoint.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer, until } from "../harness.ts";
import { bad, endpoint, good, KEY, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { DIALS, freePort, socatEcho, tcpServer } from "./servers.ts";

await requireTools();

const MEBIBYTE = 1024 * 1024;

/** Whether this end of a session over 127.0.0.1 is in TIME-WAIT (proc(5), state 06). */
async function inTimeWait(local: Endpoint, remote: Endpoint): Promise<boolean> {
  const hex = ({ port }: Endpoint): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return (await Bun.file("/proc/net/tcp").text()).includes(` ${hex(local)} ${hex(remote)} 06 `);
}

test("a TCP session made by system calls tells its port before its first packet leaves", async () => {
  for (const target of ["127.0.0.1:1", "[::1]:1"]) {
    const ports: number[] = [];
    const source = { bound: (port: number) => void ports.push(port) };
    // Nobody listens there, so nobody can have told it but the one who bound it.
    const failure = bad(await TcpSession.open(endpoint(target), { connectTimeoutMs: PATIENCE_MS, source }));
    expect([failure.code, ports.length]).toEqual(["refused", 1]);
    expect(ports[0]).toBeGreaterThan(0);
  }
  using server = tcpServer();
  const told: number[] = [];
  const source = { address: endpoint("127.0.0.9:0").address, bound: (port: number) => void told.push(port) };
  await using session = good(
    await TcpSession.open(server.endpoint, { connectTimeoutMs: PATIENCE_MS, source }),
  );
  expect(formatEndpoint(session.local)).toBe(`127.0.0.9:${told[0]}`);
});

for (const [name, dial] of DIALS) {
  const options = { connectTimeoutMs: PATIENCE_MS, dial };
  const open = async (target: Endpoint): Promise<TcpSession> => good(await TcpSession.open(target, options));

  describe(`a TCP session made by ${name}`, () => {
    test("hears the server's banner before its first echo", async () => {
      await using server = await startServer();
      const target = endpoint(`127.0.0.1:${server.tcpPort}`);
      await using session = await open(target);
      for (let number = 0; number < 20; number++) {
        const echo = good(await session.echo(message(number), PATIENCE_MS));
        expect(echo.bytes).toBe(SIZE);
        expect(echo.roundTripMs).toBeGreaterThan(0);
      }
      expect(session.greeted).toBe(true);
      expect(sameEndpoint(session.banner!.client, session.local)).toBe(true);
      expect(sameEndpoint(session.banner!.server, target)).toBe(true);
      expect(session.echoedBytes).toBe(20 * SIZE);
      expect(session.excessBytes).toBe(0);
      expect(session.connectMs).toBeGreaterThan(0);
      // On a busy machine it may have come before the connection was seen.
      if (session.firstByteMs !== null) expect(session.firstByteMs).toBeGreaterThan(0);
    });

    test("does not date its first byte by a connection that was seen after it", async () => {
      await using server = await startServer();
      const late: Dial = (target, source, events) =>
        dial(target, source, {
          ...events,
          connected: (socket) =>
            events.connected(socket, { fromMs: performance.now(), toMs: performance.now() + PATIENCE_MS }),
        });
      const target = endpoint(`127.0.0.1:${server.tcpPort}`);
      await using session = good(await TcpSession.open(target, { ...options, dial: late }));
      for (let number = 0; number < 2; number++) good(await session.echo(message(number), PATIENCE_MS));
      expect(session.firstByteMs).toBeNull();
    });

    test("over IPv6 knows both ends", async () => {
      await using server = await startServer(["--host", "::1"]);
      const target = endpoint(`[::1]:${server.tcpPort}`);
      await using session = await open(target);
      good(await session.echo(message(0), PATIENCE_MS));
      expect(formatEndpoint(session.banner!.client)).toBe(formatEndpoint(session.local));
      expect(formatEndpoint(session.banner!.server)).toBe(formatEndpoint(target));
    });

    test("sees from the first answer that there is no banner", async () => {
      await using server = await startServer(["--no-banner"]);
      await using socat = await socatEcho("TCP");
      for (const target of [endpoint(`127.0.0.1:${server.tcpPort}`), socat.endpoint]) {
        await using session = await open(target);
        good(await session.echo(message(0), PATIENCE_MS));
        expect(session.greeted).toBe(true);
        expect(session.banner).toBeNull();
        good(await session.echo(makePayload(KEY, 1, 1), PATIENCE_MS));
      }
    });

    test("sends a preamble that is not echoed", async () => {
      await using server = await startServer(["--proxy-protocol", "require"]);
      const preamble = Buffer.from("PROXY TCP4 10.1.2.3 10.9.8.7 4660 80\r\n");
      const target = endpoint(`127.0.0.1:${server.tcpPort}`);
      await using session = good(await TcpSession.open(target, { ...options, preamble }));
      good(await session.echo(message(0), PATIENCE_MS));
      expect(formatEndpoint(session.banner!.client)).toBe("10.1.2.3:4660");
      expect(sameEndpoint(session.banner!.via!, session.local)).toBe(true);
    });

    test("comes from the address and the port that were asked for", async () => {
      using server = tcpServer();
      const port = freePort();
      const sources = [
        { address: endpoint("127.0.0.9:0").address },
        { address: endpoint("127.0.0.9:0").address, port },
        { port },
      ];
      const locals = [
        /^127\.0\.0\.9:\d+$/,
        new RegExp(`^127\\.0\\.0\\.9:${port}$`),
        new RegExp(`^127\\.0\\.0\\.1:${port}$`),
      ];
      for (const [at, source] of sources.entries()) {
        await using session = good(await TcpSession.open(server.endpoint, { ...options, source }));
        good(await session.echo(message(0), PATIENCE_MS));
        expect(formatEndpoint(session.local)).toMatch(locals[at]!);
      }
    });
  });

  describe(`a TCP session made by ${name}, while it is used,`, () => {
    test("sends without waiting, and tells when each echo has come and when no more will", async () => {
      await using server = await startServer();
      await using session = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      const echoes: { number: number; atMs: number }[] = [];
      for (let number = 0; number < 3; number++) {
        expect(session.send(message(number), (atMs) => void echoes.push({ number, atMs }))).toBeNull();
      }
      const sinceMs = performance.now();
      while (echoes.length < 3) expect(await session.change(PATIENCE_MS)).toBe(true);
      expect(echoes.map(({ number }) => number)).toEqual([0, 1, 2]);
      for (const { atMs } of echoes) {
        expect(atMs).toBeGreaterThan(sinceMs - PATIENCE_MS);
        expect(atMs).toBeLessThanOrEqual(performance.now());
      }
      expect(session.echoedBytes).toBe(3 * SIZE);
      expect(await session.change(20)).toBe(false);
      expect(session.fault).toBeNull();
      const changed = session.change(PATIENCE_MS);
      server.kill("SIGKILL");
      expect(await changed).toBe(true);
      expect(session.fault?.code).toMatch(/^(reset|closed)$/);
      expect(session.send(message(3))?.code).toMatch(/^(reset|closed)$/);
    });

    test("tells of no echo that is not whole and right, and what the kernel has no room for", async () => {
      using server = tcpServer({
        received(socket, bytes) {
          bytes[SIZE + 1]! ^= 1; // the second message's
          socket.write(bytes);
        },
      });
      await using session = await open(server.endpoint);
      const whole: number[] = [];
      session.send(Buffer.concat([message(0), message(1)]), () => whole.push(0));
      while (session.fault === null) expect(await session.change(PATIENCE_MS)).toBe(true);
      expect(session.fault.code).toBe("corrupted");
      expect(whole).toEqual([]);
      using deaf = tcpServer({ opened: (socket) => void socket.pause() });
      await using full = await open(deaf.endpoint);
      full.send(makePayload(KEY, 0, 32 * MEBIBYTE));
      while (await full.change(200)) {}
      expect(full.unsentBytes).toBeGreaterThan(0);
    });

    test("carries many bytes while the echo comes back, then a half-close and the tail", async () => {
      await using server = await startServer();
      await using session = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      const bulk = makePayload(KEY, 0, 16 * MEBIBYTE);
      expect(good(await session.bulk(bulk, PATIENCE_MS)).bytes).toBe(bulk.length);
      const tail = makePayload(KEY, 1, 4 * MEBIBYTE);
      const halfClose = good(await session.halfClose(tail, PATIENCE_MS));
      expect(halfClose).toEqual({ tail: "whole", bytes: tail.length, due: tail.length, endedBy: "fin" });
      expect(session.ended?.code).toBe("closed");
      expect(bad(await session.echo(tail, PATIENCE_MS)).code).toBe("closed");
    });

    test("reads nothing while it is paused, and all of it after", async () => {
      using server = tcpServer();
      await using session = await open(server.endpoint);
      session.pause();
      expect(bad(await session.echo(message(0), SHORT_MS)).code).toBe("silent");
      expect(session.echoedBytes).toBe(0);
      session.resume();
      good(await session.echo(message(1), PATIENCE_MS));
      expect(session.echoedBytes).toBe(2 * SIZE);
    });

    test("does not call silent what is here by its deadline, though this process was late to look", async () => {
      await using server = await startServer();
      await using session = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      good(await session.echo(message(0), PATIENCE_MS));
      for (let number = 1; number <= 4; number++) {
        const waiting = session.echo(message(number), 20);
        Bun.sleepSync(2 * SHORT_MS); // long enough for the server to answer
        good(await waiting);
      }
    });

    test("has one question at a time", async () => {
      using mute = tcpServer({ received() {} });
      await using session = await open(mute.endpoint);
      const first = session.echo(message(0), PATIENCE_MS);
      await expect(session.echo(message(1), PATIENCE_MS)).rejects.toThrow("one question at a time");
      await session.reset();
      expect(await first).toBeInstanceOf(Failure);
      await expect(session.echo(new Uint8Array(0), 1)).rejects.toThrow("no echo");
    });
  });

  describe(`a TCP session made by ${name}, at its end,`, () => {
    test("half-closes with nothing more to say, before a word was said too", async () => {
      await using server = await startServer();
      await using spoken = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      good(await spoken.echo(message(0), PATIENCE_MS));
      await using silent = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      for (const session of [spoken, silent]) {
        const halfClose = good(await session.halfClose(new Uint8Array(0), PATIENCE_MS));
        expect(halfClose).toEqual({ tail: "whole", bytes: 0, due: 0, endedBy: "fin" });
        expect(session.banner).not.toBeNull();
      }
    });

    test("leaves no TIME-WAIT when it is disposed of, and one when it ends by a FIN", async () => {
      using server = tcpServer();
      const reset = await open(server.endpoint);
      good(await reset.echo(message(0), PATIENCE_MS));
      await reset[Symbol.asyncDispose]();
      expect(await inTimeWait(reset.local, server.endpoint)).toBe(false);
      const closed = await open(server.endpoint);
      good(await closed.echo(message(0), PATIENCE_MS));
      await closed.end();
      await until("the server's FIN has come", () => inTimeWait(closed.local, server.endpoint));
      for (const session of [reset, closed]) {
        expect(session.ended?.code).toBe("ended");
        expect(bad(await session.echo(message(1), PATIENCE_MS)).code).toBe("ended");
        await session.end(); // once more does no harm
      }
    });

    test("is aborted by its signal: before, while it waits, and after", async () => {
      using mute = tcpServer({ received() {} });
      const { signal, ...abort } = controller();
      await using session = good(await TcpSession.open(mute.endpoint, { ...options, signal }));
      const waiting = session.echo(message(0), PATIENCE_MS);
      abort.now();
      expect(bad(await waiting).code).toBe("aborted");
      expect(bad(await session.echo(message(0), PATIENCE_MS)).code).toBe("aborted");
      expect(bad(await TcpSession.open(mute.endpoint, { ...options, signal })).code).toBe("aborted");
      await using unconcerned = await open(mute.endpoint);
      expect(unconcerned.ended).toBeNull();
    });
  });
}

function controller(): { signal: AbortSignal; now: () => void } {
  const abort = new AbortController();
  return { signal: abort.signal, now: () => abort.abort() };
}
