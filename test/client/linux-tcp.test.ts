import { describe, expect, test } from "bun:test";
import { adoptingDial } from "../../src/client/bun/dial-adopted.ts";
import type { Connection, ConnectionEvents } from "../../src/client/dial.ts";
import { linuxSockets } from "../../src/client/linux/sockets.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer, until } from "../harness.ts";
import { endpoint, good, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { tcpServer } from "./servers.ts";
import { SyncListener } from "./sync-peer.ts";

/** What connections by system calls can that others cannot; what all can is asked in `tcp-*.test.ts`. */

await requireTools();

const { dial } = linuxSockets()!;
const options = { connectTimeoutMs: PATIENCE_MS, dial };
const open = async (target: Endpoint): Promise<TcpSession> => good(await TcpSession.open(target, options));

/** A process that listens, greets who comes with `hello` and does the rest as told: `reset` or `fin`. */
async function greeter(then: "terminate" | "end"): Promise<Disposable & { readonly endpoint: Endpoint }> {
  const code = `const { port } = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {},
    open(socket) { socket.write("hello"); setTimeout(() => socket.${then}(), 20); } } });
    console.log(port);`;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stdin: "ignore" });
  const { value } = await child.stdout.getReader().read();
  const port = new TextDecoder().decode(value).trim();
  return {
    endpoint: endpoint(`127.0.0.1:${port}`),
    [Symbol.dispose]: () => child.kill("SIGKILL"),
  };
}

/** All that is told of a connection, in its order. */
function recorder(): { readonly told: string[]; readonly events: ConnectionEvents; connection: Connection } {
  const told: string[] = [];
  const record = {
    told,
    connection: null as unknown as Connection,
    events: {
      connected(connection: Connection): void {
        record.connection = connection;
        told.push("connected");
      },
      failed: ({ code }) => void told.push(`failed ${code}`),
      data: (bytes) => void told.push(`data ${new TextDecoder().decode(bytes)}`),
      writable: () => void told.push("writable"),
      fin: () => void told.push("fin"),
      closed: (error) => void told.push(`closed ${error}`),
    } satisfies ConnectionEvents as ConnectionEvents,
  };
  return record;
}

describe("times are the kernel's, however late this thread is:", () => {
  test("how long the handshake took", async () => {
    using server = tcpServer();
    for (let visit = 0; visit < 3; visit++) {
      const opening = open(server.endpoint);
      Bun.sleepSync(SHORT_MS);
      await using session = await opening;
      expect(session.connectMs).toBeGreaterThan(0);
      expect(session.connectMs).toBeLessThan(SHORT_MS);
    }
  });

  test("when the first byte came, and how long a message took", async () => {
    await using server = await startServer();
    const visit = async (number: number): Promise<number[]> => {
      await using session = await open(endpoint(`127.0.0.1:${server.tcpPort}`));
      const echo = session.echo(message(number), PATIENCE_MS);
      Bun.sleepSync(2 * SHORT_MS);
      return [good(await echo).roundTripMs, session.firstByteMs!];
    };
    await visit(0); // the kernel may begin to stamp a little later than it is asked to
    for (let number = 1; number < 4; number++) {
      for (const ms of await visit(number)) {
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThan(2 * SHORT_MS);
      }
    }
  });
});

describe("what the kernel knows of a path", () => {
  const dials = [
    ["alone", dial],
    ["with Bun's loop", adoptingDial()!],
  ] as const;
  for (const [how, each] of dials) {
    test(`is told of a session made by system calls ${how}, and what it knew last of one that has ended`, async () => {
      using server = tcpServer();
      const session = good(await TcpSession.open(server.endpoint, { ...options, dial: each }));
      good(await session.echo(message(0), PATIENCE_MS));
      const { mss, pathMtu, retransmits, roundTripMs } = session.info!;
      expect(mss).toBeGreaterThan(1000);
      expect(pathMtu).toBeGreaterThan(mss);
      expect(retransmits).toBe(0);
      expect(roundTripMs).toBeGreaterThan(0);
      await session.reset();
      expect(session.info).toMatchObject({ mss, pathMtu, retransmits: 0 });
    });
  }
});

describe("an end that this thread is late to see", () => {
  test("by a reset comes after what came before it, even where the connection was not looked at yet", async () => {
    using server = await greeter("terminate");
    const { told, events } = recorder();
    dial(server.endpoint, {}, events);
    Bun.sleepSync(2 * SHORT_MS);
    await until("it is over", () => told.some((each) => each.startsWith("closed")));
    expect(told).toEqual(["connected", "data hello", "closed ECONNRESET"]);
  });

  test("by a FIN, too; and then this end's closes it", async () => {
    using server = await greeter("end");
    const record = recorder();
    dial(server.endpoint, {}, record.events);
    Bun.sleepSync(2 * SHORT_MS);
    await until("the FIN is told", () => record.told.includes("fin"));
    expect(record.told).toEqual(["connected", "data hello", "fin"]);
    record.connection.shutdown();
    await until("it is over", () => record.told.length > 3);
    expect(record.told.at(-1)).toBe("closed null");
    record.connection.terminate(); // once more does no harm
    expect(record.connection.write(message(0))).toBe(-1);
  });

  test("by a reset that a write meets first is told once all that came is read, and not as a FIN", async () => {
    using listener = new SyncListener();
    const record = recorder();
    dial(listener.endpoint, {}, record.events);
    await until("it is connected", () => record.told.length > 0);
    using peer = listener.accept()!;
    peer.send(5);
    peer.reset();
    expect(record.connection.write(message(0))).toBe(-1);
    await until("it is over", () => record.told.some((each) => each.startsWith("closed")));
    expect(record.told).toEqual(["connected", "data aaaaa", "closed ECONNRESET"]);
  });

  test("by a reset that two writes meet is told by the word of the first: the second is told of a broken pipe", async () => {
    using listener = new SyncListener();
    const record = recorder();
    dial(listener.endpoint, {}, record.events);
    await until("it is connected", () => record.told.length > 0);
    listener.accept()!.reset();
    for (let write = 0; write < 2; write++) expect(record.connection.write(message(0))).toBe(-1);
    await until("it is over", () => record.told.length > 1);
    expect(record.told).toEqual(["connected", "closed ECONNRESET"]);
  });

  test("by a reset behind a FIN that was not read is told as both, though a write met it", async () => {
    using listener = new SyncListener();
    const record = recorder();
    dial(listener.endpoint, {}, record.events);
    await until("it is connected", () => record.told.length > 0);
    listener.accept()!.close();
    const taken = [0, 1, 2].map(() => record.connection.write(message(0)));
    expect(taken).toEqual([SIZE, 0, 0]); // the first one brings the reset
    await until("it is over", () => record.told.length > 2);
    expect(record.told).toEqual(["connected", "fin", "closed EPIPE"]);
  });

  test("by a reset behind a FIN that was told is told, too, and the FIN once", async () => {
    using server = await greeter("end");
    const record = recorder();
    dial(server.endpoint, {}, record.events);
    await until("the FIN is told", () => record.told.includes("fin"));
    expect(record.connection.write(message(0))).toBe(SIZE); // to one that has closed: a reset comes back
    await until("it is over", () => record.told.some((each) => each.startsWith("closed")));
    expect(record.told).toEqual(["connected", "data hello", "fin", "closed EPIPE"]);
  });
});

test("while it is paused a FIN waits and a reset does not; both after what came before", async () => {
  for (const [then, last] of [
    ["end", ["connected"]],
    ["terminate", ["connected", "data hello", "closed ECONNRESET"]],
  ] as const) {
    using server = await greeter(then);
    const record = recorder();
    const { connected } = record.events;
    record.events.connected = (connection) => {
      connected(connection);
      connection.pause();
    };
    dial(server.endpoint, {}, record.events);
    await until("it is connected", () => record.told.length > 0);
    await Bun.sleep(2 * SHORT_MS);
    expect(record.told).toEqual([...last]);
    record.connection.resume();
    if (then === "end") await until("the FIN is told", () => record.told.includes("fin"));
    record.connection.terminate();
  }
});

test("a connect is given up, and nothing is told after that", async () => {
  using server = tcpServer();
  const { told, events } = recorder();
  dial(server.endpoint, {}, events)();
  dial(endpoint("[fe80::1%nosuchzone]:7"), {}, events)();
  await Bun.sleep(SHORT_MS);
  expect(told).toEqual([]);
});

test("ten million bytes come back exact while another session goes on", async () => {
  await using server = await startServer();
  const target = endpoint(`127.0.0.1:${server.tcpPort}`);
  await using bulk = await open(target);
  await using small = await open(target);
  let isOver = false;
  const carrying = bulk.bulk(message(0, 10_000_000), PATIENCE_MS).finally(() => {
    isOver = true;
  });
  let echoes = 0;
  while (!isOver) {
    good(await small.echo(message(echoes), PATIENCE_MS));
    echoes++;
  }
  expect(good(await carrying).bytes).toBe(10_000_000);
  expect(echoes).toBeGreaterThan(1);
  const tail = good(await bulk.halfClose(message(1, SIZE), PATIENCE_MS));
  expect(tail).toEqual({ tail: "whole", bytes: SIZE, due: SIZE, endedBy: "fin" });
});
