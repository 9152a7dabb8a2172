import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { tcpSpeaksFirst, udpGreets } from "../bench/run/banner-probe.ts";
import { sendTo } from "./clients/send-to.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** What the bench asks a server before it measures it: does a session begin with something else than its echo? */

const HOST = "127.0.0.1";

describe("our server", () => {
  let greeting: EchoServer;
  let plain: EchoServer;
  beforeAll(async () => {
    [greeting, plain] = await Promise.all([startServer(), startServer(["--no-banner"])]);
  });
  afterAll(async () => {
    await Promise.all([greeting[Symbol.asyncDispose](), plain[Symbol.asyncDispose]()]);
  });

  test("greets over TCP and UDP, and not with --no-banner", async () => {
    expect(await tcpSpeaksFirst(HOST, greeting.tcpPort, null)).toBe(true);
    expect(await udpGreets(HOST, greeting.udpPort, null)).toBe(true);
    expect(await tcpSpeaksFirst(HOST, plain.tcpPort, null)).toBe(false);
    expect(await udpGreets(HOST, plain.udpPort, null)).toBe(false);
  });

  test("leaves nothing behind: each question's session is over", async () => {
    for (let times = 0; times < 20; times++) await tcpSpeaksFirst(HOST, plain.tcpPort, null);
    await until("no session is left", async () => {
      const metrics = await plain.metrics();
      return metrics.get("echo_sessions_active", { protocol: "tcp" }) === 0;
    });
  });
});

describe("somebody else's", () => {
  /** A server that says `greeting` and then echoes, or ends the session at once. */
  function listen(greeting: string, ends = false): Disposable & { readonly port: number } {
    const listener = Bun.listen({
      hostname: HOST,
      port: 0,
      socket: {
        open(socket) {
          if (greeting !== "") socket.write(greeting);
          if (ends) socket.end();
        },
        data: (socket, bytes) => void socket.write(bytes),
      },
    });
    return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
  }

  test("a greeting that is not ours is one too", async () => {
    using server = listen("220 welcome\r\n\n\n");
    expect(await tcpSpeaksFirst(HOST, server.port, null)).toBe(true);
  });

  test("who ends the session without a word does not greet", async () => {
    using server = listen("", true);
    expect(await tcpSpeaksFirst(HOST, server.port, null)).toBe(false);
  });

  test("datagrams that come back wrong are an answer, which is no greeting", async () => {
    const server = await Bun.udpSocket({
      hostname: HOST,
      socket: {
        data(socket, bytes, port, address) {
          sendTo(socket, bytes.subarray(1), port, address);
        },
        error() {},
      },
    });
    expect(await udpGreets(HOST, server.port, null)).toBe(false);
    server.close();
  });

  test("where nobody is, the error names the end and the reason", async () => {
    const closed = listen("");
    closed[Symbol.dispose]();
    const { port } = closed;
    const refused = "connection refused (ECONNREFUSED)";
    await expect(tcpSpeaksFirst(HOST, port, null)).rejects.toThrow(
      `no connection to tcp ${HOST}:${port}: ${refused}`,
    );
    await expect(udpGreets(HOST, port, null)).rejects.toThrow(
      `nobody answers on udp ${HOST}:${port}: ${refused}`,
    );
    const elsewhere = `no connection to tcp ${HOST}:${port}: no such address here`;
    await expect(tcpSpeaksFirst(HOST, port, "203.0.113.9")).rejects.toThrow(elsewhere);
    await expect(tcpSpeaksFirst(HOST, port, "::1")).rejects.toThrow(
      `no connection to tcp ${HOST}:${port}: no_such_address`,
    );
  });
});
