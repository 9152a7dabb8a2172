import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { patternBytes } from "./clients/bytes.ts";
import { untilActive, untilMetric } from "./clients/metrics.ts";
import { TcpClient } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer } from "./harness.ts";

/** Any bytes, any split, any pacing, any mix of half-close: what comes back is what went, in order, whole. */

let server: EchoServer;

beforeAll(async () => {
  server = await startServer(["--udp-banner-rate", "0"]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** Pieces of a stream: single bytes, around a segment and a kernel buffer, and far more than a window takes. */
const pieceBytes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5000 }) },
  { weight: 2, arbitrary: fc.constantFrom(1447, 1448, 1449, 65_535, 65_536, 65_537) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 2_000_000 }) },
);

/** What a client does after a piece: goes on at once, rests, waits for all echoes so far, stops or starts reading. */
const pause = fc.constantFrom("none", "none", "turn", "rest", "echo", "stall", "resume");

const tcpPlan = fc.record({
  pieces: fc.array(fc.record({ bytes: pieceBytes, pause }), { maxLength: 12, size: "max" }),
  /** FIN with the last byte, after its echo, or with a reader that was stalled until then. */
  ending: fc.constantFrom("at once", "after the echo", "stalled"),
  /** Says its first word before it has the banner. */
  eager: fc.boolean(),
  seed: fc.nat(1_000_000),
});

type TcpPlan = typeof tcpPlan extends fc.Arbitrary<infer Plan> ? Plan : never;

async function follow(plan: TcpPlan): Promise<number> {
  using client = await TcpClient.connect(server.tcpPort);
  if (!plan.eager) await client.greeted();
  let sent = 0;
  for (const { bytes, pause } of plan.pieces) {
    client.send(patternBytes(bytes, plan.seed + sent));
    sent += bytes;
    if (pause === "turn") await Promise.resolve();
    else if (pause === "rest") await Bun.sleep(2);
    else if (pause === "stall") client.stall();
    else if (pause === "resume") client.resume();
    else if (pause === "echo") {
      client.resume();
      await client.echoed(sent);
    }
  }
  if (plan.ending === "after the echo") {
    client.resume();
    await client.echoed(sent);
  } else if (plan.ending === "stalled") {
    client.stall();
  }
  client.halfClose();
  if (plan.ending === "stalled") await Bun.sleep(5);
  client.resume();
  expect(await client.ended).toBe("fin");
  expect(client.body.equals(streamOf(plan))).toBe(true);
  return sent;
}

function streamOf({ pieces, seed }: TcpPlan): Buffer {
  let at = 0;
  const bytes: Buffer[] = [];
  for (const piece of pieces) {
    bytes.push(patternBytes(piece.bytes, seed + at));
    at += piece.bytes;
  }
  return Buffer.concat(bytes);
}

test("TCP: clients of any kind, side by side", async () => {
  const plans = fc.array(tcpPlan, { minLength: 1, maxLength: 6, size: "max" });
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(plans, async (plans) => {
      for (const bytes of await Promise.all(plans.map(follow))) sent += bytes;
    }),
    { numRuns: 200, interruptAfterTimeLimit: 30_000, endOnFailure: true },
  );
  await untilActive(server, "tcp", 0);
  await untilMetric(server, "echo_received_bytes_total", { protocol: "tcp" }, sent);
}, 60_000);

/** Datagrams of every size; runs of like ones too, which an engine may send back as one. */
const datagramBytes = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 64 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 3000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 1472, 1473, 65_507) },
);
const run = fc.record({ client: fc.nat(3), bytes: datagramBytes, times: fc.integer({ min: 1, max: 6 }) });
const udpPlan = fc.record({
  /** What is sent in one go; all of it is awaited before the next. */
  rounds: fc.array(fc.array(run, { maxLength: 8, size: "max" }), { minLength: 1, maxLength: 5, size: "max" }),
  seed: fc.nat(1_000_000),
});

/** What may be in flight at once: it has to fit a kernel buffer of the usual 208 KiB, with its bookkeeping. */
const IN_FLIGHT_BYTES_MAX = 80_000;
const BOOKKEEPING_BYTES = 1000;

type UdpPlan = typeof udpPlan extends fc.Arbitrary<infer Plan> ? Plan : never;

/** Returns how many datagrams were sent. */
async function exchange({ rounds, seed }: UdpPlan): Promise<number> {
  const clients = await Promise.all([0, 1, 2, 3].map(() => UdpClient.open(server.udpPort)));
  try {
    const sent: Buffer[][] = clients.map(() => []);
    for (const round of rounds) {
      let inFlight = 0;
      for (const { client, bytes, times } of round) {
        for (let at = 0; at < times; at++) {
          if (inFlight + bytes > IN_FLIGHT_BYTES_MAX) break;
          inFlight += bytes + BOOKKEEPING_BYTES;
          const datagram = patternBytes(bytes, seed + client * 1000 + sent[client]!.length);
          sent[client]!.push(datagram);
          clients[client]!.send(datagram);
        }
      }
      await Promise.all(clients.map((client, at) => client.receives(sent[at]!.length)));
    }
    for (const [at, { received }] of clients.entries()) {
      expect(received.length).toBe(sent[at]!.length);
      expect(received.every((datagram, number) => datagram.equals(sent[at]![number]!))).toBe(true);
    }
    return sent.flat().length;
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

test("UDP: each client gets its own datagrams back, all of them, in order, and no other's", async () => {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(udpPlan, async (plan) => {
      sent += await exchange(plan);
    }),
    { numRuns: 300, interruptAfterTimeLimit: 30_000, endOnFailure: true },
  );
  await untilMetric(server, "echo_received_datagrams_total", { protocol: "udp" }, sent);
  await untilMetric(server, "echo_sent_datagrams_total", { protocol: "udp" }, sent);
}, 60_000);
