import { describe, expect, test } from "bun:test";
import { freePort } from "../../client/servers.ts";
import { sendTo } from "../../clients/send-to.ts";
import { startServer, until } from "../../harness.ts";
import { startUdp } from "../../net/servers/udp.ts";
import { end } from "../fixtures.ts";
import { askByCalls, problemOf, SETTINGS, said, WAYS } from "./ask.ts";

/** What is measured of right servers, and that nothing is said of them; where flows come from. */

/** Of what `SETTINGS` sends. */
const SENT = SETTINGS.flows * SETTINGS.count;

function greeting(server: number, client: number): string {
  return `Thu Nov 26 05:28:13 UTC 2026\nServer: 127.0.0.1:${server}\nClient: 127.0.0.1:${client}\n\n`;
}

for (const [way, ask] of WAYS) {
  const byCalls = ask === askByCalls;

  describe(`by ${way}, of a server that is right`, () => {
    test("nothing is said, and every field has what was measured", async () => {
      await using server = await startServer();
      const result = await ask(server.udpPort);
      const target = `127.0.0.1:${server.udpPort}`;
      const { rttMs, notes, ...rest } = result;
      expect(rest).toEqual({
        target: `udp://${target}`,
        protocol: "udp",
        name: target,
        address: "127.0.0.1",
        port: server.udpPort,
        ok: true,
        resolveMs: null,
        flows: 4,
        flowsAnswered: 4,
        servers: [{ server: target, pod: null, node: null, flows: 4 }],
        source: { own: "127.0.0.1", seen: ["127.0.0.1"], addressTranslated: false, portTranslated: false },
        destination: { asked: target, translated: false },
        connectMs: null,
        firstByteMs: null,
        sent: SENT,
        received: SENT,
        lost: 0,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        foreign: 0,
        synRetransmits: null,
        halfClose: null,
        bulkBytes: null,
        tcp: null,
        hops: byCalls ? { there: null, back: 0 } : null,
        mtu: null,
        problems: [],
      });
      expect(rttMs!.min).toBeGreaterThan(0);
      expect(rttMs!.min).toBeLessThanOrEqual(rttMs!.p50);
      expect(rttMs!.p99).toBeLessThanOrEqual(rttMs!.max);
      expect(notes.map(({ says }) => says.includes("needs Linux"))).toEqual(byCalls ? [] : [true]);
    });

    test("over IPv6, with payloads of 1 byte and of 65,507", async () => {
      await using server = await startServer(["--host", "::1"]);
      for (const size of [1, 65_507]) {
        const result = await ask(`[::1]:${server.udpPort}`, { settings: { size, flows: 2 } });
        expect([size, said(result)]).toEqual([size, []]);
        expect(result).toMatchObject({ address: "::1", received: 20, source: { own: "::1", seen: ["::1"] } });
      }
    });

    test("without a banner, nothing but that who answered is not known", async () => {
      using server = await startUdp("none");
      const result = await ask(server.port);
      expect(said(result)).toEqual([]);
      expect(result).toMatchObject({ ok: true, flows: 4, received: SENT, servers: null });
      expect(result.source).toEqual({
        own: "127.0.0.1",
        seen: null,
        addressTranslated: null,
        portTranslated: null,
      });
      expect(result.destination.translated).toBeNull();
    });

    test("with more flows than are asked at once, each is asked, from a port of its own", async () => {
      await using server = await startServer();
      const result = await ask(server.udpPort, { settings: { flows: 25, count: 2 } });
      expect(said(result)).toEqual([]);
      expect(result).toMatchObject({ flows: 25, flowsAnswered: 25, sent: 50, received: 50 });
      expect(result.servers).toMatchObject([{ flows: 25 }]);
      const metrics = await server.metrics();
      expect(metrics.get("echo_sessions_opened_total", { protocol: "udp" })).toBe(25);
    });
  });

  test(`by ${way}: each of many flows whose port gets no banner makes place for one from another port`, async () => {
    const greeted = new Map<number, boolean>();
    const server = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(socket, bytes, port, address) {
          // The sessions of the first ports live on from before.
          if (!greeted.has(port) && greeted.size >= 24)
            sendTo(socket, greeting(socket.port, port), port, address);
          greeted.set(port, true);
          sendTo(socket, bytes, port, address);
        },
        error() {},
      },
    });
    try {
      const result = await ask(server.port, { settings: { flows: 26, count: 2 } });
      expect(result.servers).toMatchObject([{ server: `127.0.0.1:${server.port}`, flows: 26 }]);
      expect(said(result)).toEqual([]);
    } finally {
      server.close();
    }
  });

  describe(`by ${way}, a source port`, () => {
    test("is that of one flow, which has its banner the first time alone", async () => {
      await using server = await startServer();
      const port = freePort();
      const first = await ask(server.udpPort, { settings: { flows: 1, source: { port } } });
      expect(said(first)).toEqual([]);
      expect(first).toMatchObject({ flows: 1, sent: 10, received: 10, servers: [{ flows: 1 }] });
      const again = await ask(server.udpPort, { settings: { flows: 1, source: { port } } });
      expect(said(again)).toEqual([]);
      expect(again).toMatchObject({ ok: true, flows: 1, servers: null });
      expect(again.notes.map(({ says }) => says).join("\n")).toContain(
        `source port ${port} may have had its banner`,
      );
    });

    test("that is another's is none here", async () => {
      using server = await startUdp("none");
      const result = await ask(server.port, { settings: { flows: 1, source: { port: server.otherPort } } });
      expect(said(result)).toEqual(["no_ports_here"]);
      expect(problemOf(result)).toMatchObject({ where: "this_machine", flow: null });
      expect(problemOf(result).says).toBe(`source port ${server.otherPort} is in use on this machine`);
      expect(result).toMatchObject({ ok: false, flows: 0, sent: 0 });
    });

    test("whose session lives on at the server makes place for another", async () => {
      using server = await startUdp("greetsEverySecond");
      const result = await ask(server.port);
      expect(result).toMatchObject({ ok: true, flows: 4, flowsAnswered: 4, sent: SENT, received: SENT });
      expect(result.servers).toEqual([{ server: "127.0.0.1:7", pod: null, node: null, flows: 4 }]);
    });
  });

  describe(`by ${way}, a source address`, () => {
    test("is where the flows come from", async () => {
      await using server = await startServer();
      const { address } = end("127.0.0.9:0");
      const result = await ask(server.udpPort, { settings: { source: { address } } });
      expect(said(result)).toEqual([]);
      expect(result.source).toMatchObject({
        own: "127.0.0.9",
        seen: ["127.0.0.9"],
        addressTranslated: false,
      });
    });

    test("that is not this machine's is said to be so", async () => {
      const { address } = end("203.0.113.7:0");
      const result = await ask(9, { settings: { source: { address } } });
      expect(said(result)).toEqual(["unreachable"]);
      expect(problemOf(result)).toMatchObject({ by: null, where: "this_machine", next: "ip address" });
    });
  });

  describe(`by ${way}`, () => {
    test("given up by its owner, it ends at once, and what is under way is not lost", async () => {
      using server = await startUdp("silent");
      const abort = new AbortController();
      let sent = 0;
      const asking = ask(server.port, {
        settings: { timeoutMs: 60_000 },
        signal: abort.signal,
        progress: () => void sent++,
      });
      await until("it has sent something", () => sent > 0);
      abort.abort();
      const result = await asking;
      expect(result).toMatchObject({ ok: false, received: 0, lost: 0, problems: [] });
      expect(result.notes.map(({ says }) => says).join("\n")).toContain("interrupted");
    });

    test("it tells how far it is, up to the end", async () => {
      using server = await startUdp("none");
      const shares: number[] = [];
      await ask(server.port, { progress: (share) => void shares.push(share) });
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
      expect(shares.at(-1)).toBe(1);
    });
  });
}
