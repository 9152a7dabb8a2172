import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isStopped } from "./clients/machine.ts";
import { untilActive } from "./clients/metrics.ts";
import { SyncTcp } from "./clients/sync-tcp.ts";
import { type EchoServer, type Metrics, startServer, until } from "./harness.ts";

/**
 * What comes to a server in one batch: bytes, FINs, resets and room for what had to wait, of many sessions at once and in
 * any order, while it was stopped or is at work. However they meet, each session is closed once and for the right reason,
 * who stays has every byte, and nothing is left.
 */

const CLIENTS = 20;

/** Plans are tried for so long, and the last one to its end. */
const TRY_MS = 2000;

/** More than all buffers between two ends hold: the server has to hold back. */
const FLOOD_BYTES = 8_000_000;

const act = fc.record({
  who: fc.nat(CLIENTS - 1),
  what: fc.constantFrom("send", "flood", "read", "read out", "fin", "reset", "reset", "close"),
});
const acts = fc.array(act, { maxLength: 30, size: "max" });

const round = fc.record({
  /** The server does not run while the first acts are done. */
  stopped: fc.constantFrom(true, true, true, false),
  /** Before them each client takes what there is: the server wakes to a row of sockets that have room. */
  readOut: fc.boolean(),
  first: acts,
  /** Done as soon as it runs again. */
  last: acts,
  /** So many clients leave by a reset then, the last ones first: the server serves the first ones at that time. */
  leave: fc.constantFrom(0, 0, CLIENTS / 2, CLIENTS),
});

const plan = fc.record({
  /** Before the first round all of them are held back; or the server, which is stopped, has not accepted them. */
  begin: fc.constantFrom("held back", "held back", "not accepted", "fresh"),
  rounds: fc.array(round, { minLength: 1, maxLength: 3 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer Value> ? Value : never;
type Round = Plan["rounds"][number];

function perform(clients: readonly SyncTcp[], steps: Round["first"], sure: Set<SyncTcp>): void {
  for (const { who, what } of steps) {
    const client = clients[who]!;
    if (what === "send") client.send(1 + who * 300);
    else if (what === "flood") client.send(FLOOD_BYTES);
    else if (what === "read") client.read(100_000);
    else if (what === "read out") client.read();
    else if (what === "fin") client.sendFin();
    else if (what === "close") client.close();
    else leave(client, sure);
  }
}

/** @param sure those whose session can have ended by their reset alone */
function leave(client: SyncTcp, sure: Set<SyncTcp>): void {
  if (client.ending === "open" && !client.hasSentFin) sure.add(client);
  client.reset();
}

/** Repeats until it moves nothing for a while. */
async function untilStill(move: () => number): Promise<void> {
  for (let still = 0; still < 4; ) {
    still = move() === 0 ? still + 1 : 0;
    await Bun.sleep(5);
  }
}

const total = (clients: readonly SyncTcp[], move: (client: SyncTcp) => number): number =>
  clients.reduce((sum, client) => sum + move(client), 0);

async function stop(server: EchoServer): Promise<void> {
  server.kill("SIGSTOP");
  await until("the server has stopped", () => isStopped(server.pid));
}

async function go(
  server: EchoServer,
  clients: readonly SyncTcp[],
  round: Round,
  sure: Set<SyncTcp>,
): Promise<void> {
  if (round.stopped) await stop(server);
  try {
    if (round.readOut) await untilStill(() => total(clients, (client) => client.read()));
    perform(clients, round.first, sure);
  } finally {
    server.kill("SIGCONT");
  }
  for (const client of clients.slice(CLIENTS - round.leave).reverse()) leave(client, sure);
  perform(clients, round.last, sure);
}

/** Those that are left read all that is due to them, then say that they are done, and see the server's FIN. */
async function finish(clients: readonly SyncTcp[]): Promise<void> {
  await until("all that stay have their end", () => {
    for (const client of clients) {
      client.read();
      if (client.isGreeted && client.echoed === client.sent && !client.hasSentFin) client.sendFin();
    }
    return clients.every(({ ending }) => ending !== "open");
  });
}

/** Counters of TCP sessions, by what they are called here. */
function countsOf(metrics: Metrics) {
  const closed = (reason: string) => metrics.get("echo_closed_total", { protocol: "tcp", reason });
  return {
    opened: metrics.get("echo_sessions_opened_total", { protocol: "tcp" }),
    client: closed("client"),
    reset: closed("reset"),
    gone: metrics.get("echo_refused_total", { protocol: "tcp", reason: "gone" }),
  };
}

for (const args of [[], ["--no-banner"]]) {
  describe(`many events at once ${args.join()}`, () => {
    let server: EchoServer;
    let descriptors = 0;

    beforeAll(async () => {
      server = await startServer(["--udp-port", "off", ...args]);
      descriptors = (await server.metrics()).get("process_open_fds");
    });

    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    async function follow({ begin, rounds }: Plan): Promise<void> {
      const before = countsOf(await server.metrics());
      if (begin === "not accepted") await stop(server);
      const clients = Array.from({ length: CLIENTS }, () => new SyncTcp(server.tcpPort, args.length === 0));
      const sure = new Set<SyncTcp>();
      try {
        if (begin === "held back")
          await untilStill(() => total(clients, (client) => client.send(FLOOD_BYTES)));
        for (const round of rounds) await go(server, clients, round, sure);
        await finish(clients);
        const stayed = clients.filter(({ ending }) => ending !== "left");
        for (const client of stayed) expect([client.ending, client.echoed]).toEqual(["fin", client.sent]);
        expect(clients.every(({ isRight }) => isRight)).toBe(true);
        for (const client of stayed) client.close();
        await untilActive(server, "tcp", 0);
        const metrics = await server.metrics();
        const after = countsOf(metrics);
        const [opened, byClient, byReset, gone] = [
          after.opened - before.opened,
          after.client - before.client,
          after.reset - before.reset,
          after.gone - before.gone,
        ];
        expect([opened + gone, byClient + byReset]).toEqual([CLIENTS, opened]);
        expect(byClient).toBeGreaterThanOrEqual(stayed.length);
        expect(byReset + gone).toBeGreaterThanOrEqual(sure.size);
        expect(metrics.get("echo_queued_bytes")).toBe(0);
        expect(metrics.get("process_open_fds")).toBeLessThanOrEqual(descriptors + 2); // the scrape's own
      } finally {
        for (const client of clients) client[Symbol.dispose]();
      }
    }

    test("end each session once, for its own reason, and leave nothing", async () => {
      const endMs = performance.now() + TRY_MS;
      const tried = fc.asyncProperty(plan, async (plan) => {
        if (performance.now() < endMs) await follow(plan);
      });
      await fc.assert(tried, { numRuns: 200, endOnFailure: true });
    });
  });
}
