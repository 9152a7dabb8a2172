import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { patternBytes } from "./clients/bytes.ts";
import { TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Clients that send faster than they read: held back, never cut short, and nobody else's problem. */

const MIB = 1024 * 1024;

const queuedBytes = async (server: EchoServer): Promise<number> =>
  (await server.metrics()).get("echo_queued_bytes");

/** Sends until the server takes no more: what the kernels' buffers hold, and not a byte beyond. */
async function fill(server: EchoServer, client: TcpClient, payload: Uint8Array): Promise<void> {
  client.send(payload);
  let before = -1;
  await until("the client is held back", async () => {
    const held = client.bytesSent === before && (await queuedBytes(server)) > 0;
    before = client.bytesSent;
    return held;
  });
  expect(client.bytesSent).toBeLessThan(payload.length);
}

/** Reads to the end what was held back. */
async function readOut(client: TcpClient, payload: Buffer): Promise<void> {
  client.halfClose();
  client.resume();
  expect(await client.ended).toBe("fin");
  expect(client.body.length).toBe(payload.length);
  expect(client.body.equals(payload)).toBeTrue();
}

describe("a client that sends 50 MB", () => {
  test("before its first read gets all of them, and the server's memory does not grow", async () => {
    await using server = await startServer();
    const payload = patternBytes(50 * MIB);
    // Once with less, so that all code has run: its pages are memory too, but not this client's.
    using first = await TcpClient.connect(server.tcpPort, { stalled: true });
    await fill(server, first, payload.subarray(0, 20 * MIB));
    await readOut(first, payload.subarray(0, 20 * MIB));

    const before = await server.residentBytes();
    let most = before;
    using client = await TcpClient.connect(server.tcpPort, { stalled: true });
    await fill(server, client, payload);
    const reading = readOut(client, payload);
    await until("the end", async () => {
      most = Math.max(most, await server.residentBytes());
      return client.ending !== null;
    });
    await reading;
    expect(most - before).toBeLessThan(8 * MIB);
  }, 60_000);

  test("and never reads costs a bounded queue, and other sessions nothing", async () => {
    await using server = await startServer();
    using client = await TcpClient.connect(server.tcpPort, { stalled: true });
    using neighbour = await TcpClient.connect(server.tcpPort);
    await fill(server, client, patternBytes(50 * MIB));
    expect(await queuedBytes(server)).toBeLessThanOrEqual(MIB);
    const payload = patternBytes(MIB, 1);
    neighbour.send(payload);
    expect((await neighbour.echoed(MIB)).equals(payload)).toBeTrue();
    client.reset();
    await until("nothing is kept for it any more", async () => (await queuedBytes(server)) === 0);
  });
});

test("--max-queued-bytes bounds a slow reader's queue, and loses it no byte", async () => {
  await using server = await startServer(["--max-queued-bytes", "16KiB"]);
  const payload = patternBytes(16 * MIB);
  using client = await TcpClient.connect(server.tcpPort, { stalled: true });
  await fill(server, client, payload);
  expect(await queuedBytes(server)).toBeLessThanOrEqual(16 * 1024);
  await readOut(client, payload);
});

test("a reader that has stopped is reset at the idle timeout, because bytes are queued", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "300ms"]);
  using client = await TcpClient.connect(server.tcpPort, { stalled: true });
  client.send(patternBytes(16 * MIB));
  await until("it is closed", async () => {
    const metrics = await server.metrics();
    return metrics.get("echo_closed_total", { protocol: "tcp", reason: "idle_timeout" }) === 1;
  });
  client.resume();
  expect(await client.ended).toBe("reset");
  expect(await queuedBytes(server)).toBe(0);
});

/** What a client does next: sends so many bytes more, stops or starts reading, gives others a turn, or catches up. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.nat(400_000)) },
  { weight: 4, arbitrary: fc.constantFrom("stall", "resume", "turn", "catch up") },
);

test("any split, any pacing, any order of reading and half-close: every byte comes back, in order", async () => {
  await using server = await startServer();
  const payload = patternBytes(12 * MIB);
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 25, size: "max" }),
    fc.boolean(),
    fc.boolean(),
    async (steps, stalled, halfClose) => {
      using client = await TcpClient.connect(server.tcpPort, { stalled });
      let sent = 0;
      for (const next of steps) {
        if (typeof next === "number") {
          client.send(payload.subarray(sent, sent + next));
          sent += next;
        } else if (next === "stall") client.stall();
        else if (next === "resume") client.resume();
        else if (next === "turn") await Bun.sleep(0);
        else {
          client.resume();
          await client.echoed(sent);
        }
      }
      if (halfClose) client.halfClose();
      client.resume();
      if (halfClose) expect(await client.ended).toBe("fin");
      const echo = await (halfClose ? client.body : client.echoed(sent));
      expect(echo.equals(payload.subarray(0, sent))).toBeTrue();
      expect(client.banner).toEndWith("\n\n");
    },
  );
  await fc.assert(property, { numRuns: 150 });
}, 60_000);
