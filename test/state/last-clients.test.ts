import { describe, expect, test } from "bun:test";
import { formatAddress } from "../../src/net/address.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { TcpRules } from "../../src/rules/tcp.ts";
import { OPEN } from "../../src/rules/tcp-phase.ts";
import { UdpRules } from "../../src/rules/udp.ts";
import { type LastClient, lastClients } from "../../src/state/last-clients.ts";
import { SeenClients, seenPart, settleSeen, versionAt } from "../../src/state/seen-clients.ts";
import { makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
import { HandClock, ip, settings } from "../rules/fixtures.ts";

const SLOTS = { tcp: 1000, udp: 1000 };
const WALL_MS = 1_700_000_000_000;

function tablesOf(rows: number, loops = 1): SharedTables {
  return makeSharedTables(loops, 0, undefined, undefined, { rows, slots: SLOTS });
}

/** The clients of a loop, whose sessions begin at times that a test says. */
class Clients extends SeenClients {
  readonly #hand: HandClock;

  constructor(tables: SharedTables, loop: number, protocol: "tcp" | "udp") {
    const hand = new HandClock();
    super(tables, loop, protocol, 1000, hand);
    this.#hand = hand;
  }

  beginAt(nowMs: number, slot: number, address: string, port: number): void {
    this.#hand.nowMs = nowMs;
    this.begin(slot, ip(address), port);
  }
}

function clientsOf(tables: SharedTables, loop = 0, protocol: "tcp" | "udp" = "tcp"): Clients {
  return new Clients(tables, loop, protocol);
}

/** The clients, as a page shows them: `10.0.0.1:5000 tcp 2 sessions 30 B open`. */
function seen(tables: SharedTables): string[] {
  return lastClients(tables, 0, 0)!.map(
    ({ client, protocol, sessions, bytes, open }: LastClient) =>
      `${formatEndpoint(client)} ${protocol} ${sessions} sessions ${bytes} B ${open ? "open" : "over"}`,
  );
}

describe("the clients of a loop", () => {
  test("have a row for each address and protocol, the newest first", () => {
    const tables = tablesOf(8);
    const tcp = clientsOf(tables);
    const udp = clientsOf(tables, 0, "udp");
    tcp.beginAt(10, 1, "10.0.0.1", 5000);
    tcp.beginAt(20, 2, "fd00::2", 5001);
    udp.beginAt(30, 1, "10.0.0.1", 5002);
    tcp.beginAt(40, 3, "10.0.0.1", 5003);
    tcp.bytes[1]! += 10;
    tcp.bytes[3]! += 20;
    tcp.end(1);
    expect(seen(tables)).toEqual([
      "10.0.0.1:5003 tcp 2 sessions 30 B open",
      "10.0.0.1:5002 udp 1 sessions 0 B open",
      "[fd00::2]:5001 tcp 1 sessions 0 B open",
    ]);
    tcp.end(3);
    tcp.end(3);
    expect(seen(tables)[0]).toBe("10.0.0.1:5003 tcp 2 sessions 30 B over");
  });

  test("tell when they came by the wall clock, whatever the loop's says", () => {
    const tables = tablesOf(8);
    clientsOf(tables).beginAt(400, 1, "10.0.0.1", 5000);
    expect(lastClients(tables, 1400, WALL_MS)![0]!.openedAtMs).toBe(WALL_MS - 1000);
  });

  test("are as many as were asked for, by the thousand; the bytes of an old one's session are nobody else's", () => {
    const tables = tablesOf(4);
    const tcp = clientsOf(tables);
    for (let at = 0; at < 5000; at++) {
      const slot = at % 1000;
      tcp.end(slot);
      tcp.beginAt(at, slot, `10.1.${at >> 8}.${at & 255}`, 5000);
      tcp.bytes[slot] = at;
    }
    const last = lastClients(tables, 0, 0)!;
    expect(last.map(({ client }) => formatAddress(client.address))).toEqual([
      "10.1.19.135",
      "10.1.19.134",
      "10.1.19.133",
      "10.1.19.132",
    ]);
    expect(last.map(({ bytes, sessions }) => [bytes, sessions])).toEqual([
      [4999, 1],
      [4998, 1],
      [4997, 1],
      [4996, 1],
    ]);
    for (let slot = 0; slot < 1000; slot++) tcp.end(slot);
    expect(lastClients(tables, 0, 0)!.map(({ bytes, open }) => [bytes, open])).toEqual([
      [4999, false],
      [4998, false],
      [4997, false],
      [4996, false],
    ]);
  });

  test("are as many as that of each protocol: a crowd over one pushes out nobody of the other", () => {
    const tables = tablesOf(2);
    const [tcp, udp] = [clientsOf(tables), clientsOf(tables, 0, "udp")];
    tcp.beginAt(10, 1, "10.0.0.1", 5000);
    for (let at = 1; at <= 9; at++) udp.beginAt(20 + at, at, `10.0.1.${at}`, 5000);
    expect(seen(tables)).toEqual([
      "10.0.1.9:5000 udp 1 sessions 0 B open",
      "10.0.1.8:5000 udp 1 sessions 0 B open",
      "10.0.0.1:5000 tcp 1 sessions 0 B open",
    ]);
  });

  test("of several loops are joined", () => {
    const tables = tablesOf(2, 2);
    const [one, two] = [0, 1].map((loop) => clientsOf(tables, loop)) as [Clients, Clients];
    one.beginAt(10, 1, "10.0.0.1", 5000);
    two.beginAt(20, 1, "10.0.0.1", 5001);
    two.beginAt(15, 2, "10.0.0.2", 5002);
    one.beginAt(30, 3, "10.0.0.3", 5003);
    one.bytes[1] = 1;
    two.bytes[1] = 2;
    expect(seen(tables)).toEqual([
      "10.0.0.3:5003 tcp 1 sessions 0 B open",
      "10.0.0.1:5001 tcp 2 sessions 3 B open",
    ]);
  });

  test("outlive a dead loop, whose sessions are over, and the loop in its place goes on with them", () => {
    const tables = tablesOf(4);
    const dead = clientsOf(tables);
    dead.beginAt(10, 7, "10.0.0.1", 5000);
    dead.bytes[7] = 70;
    const { words } = seenPart(tables.lastClients!, 0, "tcp");
    Atomics.add(words, versionAt(0), 1); // while it wrote
    expect(seen(tables)).toEqual([]); // it may be half of one and half of another
    settleSeen(tables.lastClients!, 0);
    expect(seen(tables)).toEqual(["10.0.0.1:5000 tcp 1 sessions 70 B over"]);
    const next = clientsOf(tables);
    next.beginAt(20, 7, "10.0.0.1", 5001);
    next.beginAt(30, 8, "10.0.0.2", 5002);
    next.bytes[7] = 1;
    expect(seen(tables)).toEqual([
      "10.0.0.2:5002 tcp 1 sessions 0 B open",
      "10.0.0.1:5001 tcp 2 sessions 71 B open",
    ]);
    expect(Atomics.load(words, versionAt(0)) % 2).toBe(0);
  });

  test("whose row is another's by now leave it nothing when their loop dies", () => {
    const tables = tablesOf(1);
    const dead = clientsOf(tables);
    dead.beginAt(10, 1, "10.0.0.1", 5000);
    dead.bytes[1] = 70;
    dead.beginAt(20, 2, "10.0.0.2", 5001);
    dead.bytes[2] = 5;
    settleSeen(tables.lastClients!, 0);
    expect(seen(tables)).toEqual(["10.0.0.2:5001 tcp 1 sessions 5 B over"]);
  });

  test("are never half of one and half of another, however busy their loop is", async () => {
    const tables = makeSharedTables(1, 0, undefined, undefined, { rows: 16, slots: { tcp: 1, udp: 16 } });
    const writer = new Worker(new URL("./seen-writer.ts", import.meta.url));
    try {
      const { promise: writes, resolve } = Promise.withResolvers<unknown>();
      writer.onmessage = resolve;
      writer.postMessage(tables);
      await writes;
      let read = 0;
      for (let times = 0; times < 20_000; times++) {
        for (const { client, sessions } of lastClients(tables)!) {
          const { a0, a1, a2, a3 } = client.address;
          if ([a0, a1, a2, a3].some((word) => word !== client.port) || sessions < 1)
            throw new Error(`${formatEndpoint(client)}, ${sessions} sessions`);
          read++;
        }
      }
      expect(read).toBeGreaterThan(100_000);
    } finally {
      writer.terminate();
    }
  });

  test("are not kept where nobody wants them", () => {
    const tables = tablesOf(0);
    const clients = clientsOf(tables);
    clients.beginAt(10, 1, "10.0.0.1", 5000);
    clients.end(1);
    expect(tables.lastClients).toBeNull();
    expect(lastClients(tables)).toBeNull();
  });
});

test("UDP: every datagram of a session counts, known or new", () => {
  const tables = tablesOf(4);
  const clock = new HandClock();
  const rules = new UdpRules(settings({ udpIdleTimeoutMs: 60_000 }), tables, 0, clock);
  for (let at = 0; at < 100; at++) {
    rules.admit(0, 0, 0xffff, 0x0a000001, 5000, 0, 10);
    clock.advance(50);
  }
  expect(seen(tables)).toEqual(["10.0.0.1:5000 udp 1 sessions 1000 B open"]);
  const rows = Int32Array.of(0, 0, 0xffff, 0x0a000001, 5000, 7, 0, 0);
  expect(rules.known(rows, 0, 1)).toBe(1);
  expect(seen(tables)).toEqual(["10.0.0.1:5000 udp 1 sessions 1007 B open"]);
  rules.endAll("drained");
  expect(seen(tables)).toEqual(["10.0.0.1:5000 udp 1 sessions 1007 B over"]);
});

test("TCP: a client that a PROXY header names is seen by its own name, after a late header too", () => {
  const tables = tablesOf(4);
  const clock = new HandClock();
  const rules = new TcpRules(settings({ proxyProtocol: "accept" }), tables, 0, 1000, clock);
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const open = (slot: number) => rules.open(slot, ip("10.9.9.9"), 6000, ip("10.0.0.9"), 1234);
  open(1);
  open(2);
  expect(seen(tables)).toEqual([]); // who they are is not known yet
  rules.headerEnd(2, "proxy_timeout");
  expect(seen(tables)).toEqual(["10.9.9.9:6000 tcp 1 sessions 0 B open"]);
  clock.advance(10);
  expect(rules.header(1, bytes("PROXY TCP4 10.0.0.1 10.0.0.9 5000 1234\r\nhello"))).toBe(OPEN);
  clock.advance(10);
  expect(rules.header(2, bytes("PROXY TCP4 10.0.0.2 10.0.0.9 5001 1234\r\n"))).toBe(OPEN);
  expect(seen(tables)).toEqual([
    "10.0.0.2:5001 tcp 1 sessions 0 B open",
    "10.0.0.1:5000 tcp 1 sessions 5 B open",
  ]);
  rules.close(1, "client");
  rules.close(2, "client");
  expect(seen(tables).every((line) => line.endsWith("over"))).toBe(true);
});
