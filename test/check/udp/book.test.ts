import { describe, expect, test } from "bun:test";
import { Failure, type FailureCode } from "../../../src/client/failure.ts";
import { makePayload, newRun } from "../../../src/client/payload.ts";
import type { Datagram } from "../../../src/client/udp-inbox.ts";
import { FlowBook } from "../../../src/diagnose/check/udp/book.ts";
import type { UdpFlowSeen } from "../../../src/diagnose/check/udp/seen.ts";
import { end } from "../fixtures.ts";
import { at } from "./seen.ts";

/** What one flow gets, booked. No socket. */

const KEY = { run: newRun(), flow: 3 };
const TARGET = end("10.96.0.7:5678");
const SIZE = 64;
const BANNER = "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.244.1.2:5678\nClient: 10.244.3.9:40112\n\n";

class Booked {
  readonly crossed: number[] = [];
  readonly book = new FlowBook(KEY, TARGET, { size: SIZE, timeoutMs: 1000 }, (flow) =>
    this.crossed.push(flow),
  );

  /** After so many messages. */
  constructor(sent: number) {
    for (let number = 0; number < sent; number++) this.book.messages.next(number);
  }

  take(bytes: Uint8Array | string, more: Partial<Datagram> = {}): this {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const unknown = { to: null, ttl: null, fragmentBytes: null };
    this.book.take({ bytes: data, from: TARGET, atMs: 50, ...unknown, ...more });
    return this;
  }

  fail(code: FailureCode, by: string | null, to = TARGET, mtu: number | null = null): this {
    const icmp = by === null ? null : { by: at(by), to, mtu };
    this.book.fail(new Failure(code, 0, code.toUpperCase(), null, icmp));
    return this;
  }

  seen(droppedByKernel: number | null = null): UdpFlowSeen {
    return this.book.seen(end("0.0.0.0:40112"), at("10.244.3.9"), { dropped: 0, droppedByKernel });
  }
}

const message = (number: number, flow = KEY.flow): Uint8Array => makePayload({ ...KEY, flow }, number, SIZE);

describe("an answer", () => {
  test("with its banner, its TTL and the address it came to", () => {
    const booked = new Booked(2).take(BANNER, { ttl: 62, to: at("10.244.3.10") });
    booked.take(message(0), { ttl: 61, fragmentBytes: 0 }).take(message(1), { ttl: 62, fragmentBytes: 0 });
    const { counts, banner, own, ttl, fragmentBytes, firstBack, heard } = booked.seen();
    expect(counts).toMatchObject({ sent: 2, answered: 2, foreign: 0 });
    expect(banner?.server).toEqual(end("10.244.1.2:5678"));
    expect({ own, ttl, fragmentBytes, firstBack, heard }).toEqual({
      own: end("10.244.3.10:40112"),
      ttl: 62,
      fragmentBytes: 0,
      firstBack: 0,
      heard: true,
    });
  });

  test("of a flow that heard nothing has this end as the system would choose it", () => {
    expect(new Booked(1).seen()).toMatchObject({
      own: end("10.244.3.9:40112"),
      heard: false,
      firstBack: null,
    });
    expect(
      new Booked(1).book.seen(end("0.0.0.0:40112"), null, { dropped: 0, droppedByKernel: null }).own,
    ).toBeNull();
  });

  test("that is late in order tells which the first was that came back", () => {
    expect(new Booked(3).take(message(2)).take(message(1)).seen().firstBack).toBe(1);
  });

  test("of another flow of this run is told", () => {
    const booked = new Booked(1).take(message(0, 9));
    expect(booked.crossed).toEqual([9]);
    expect(booked.seen()).toMatchObject({ crossed: 1, counts: { foreign: 1 } });
  });

  test("renews the waiting only where a message is answered by it", () => {
    const booked = new Booked(1).take(message(0), { atMs: 10 }).take("220 mail", { atMs: 20 });
    booked.take(message(0), { atMs: 30 });
    expect(booked.book.echoAtMs).toBe(10);
    const spoilt = message(0);
    spoilt[SIZE - 1]! ^= 1;
    booked.take(spoilt, { atMs: 40 }).take(spoilt, { atMs: 50 });
    expect(booked.book.echoAtMs).toBe(40);
  });
});

describe("a stranger", () => {
  const from = end("10.96.0.8:5678");

  test("who answers with what was sent is told apart, and it came back", () => {
    const { counts, strangers, ttl } = new Booked(2)
      .take(message(0), { from, ttl: 9 })
      .take(message(1))
      .seen();
    expect(counts).toMatchObject({ answered: 2, foreign: 0 });
    expect(strangers).toEqual([{ from: "10.96.0.8:5678", count: 1 }]);
    expect(ttl).toBeNull();
  });

  test("who says anything else is nobody's business", () => {
    const booked = new Booked(1).take("hello", { from }).take(new Uint8Array(SIZE).fill(0xec), { from });
    expect(booked.seen()).toMatchObject({ heard: false, strangers: [], counts: { foreign: 0 } });
  });

  test("at the right address and another port is one too; a zone makes none", () => {
    const port = new Booked(1).take(message(0), { from: end("10.96.0.7:5679") });
    expect(port.seen().strangers).toHaveLength(1);
    const zoned = new Booked(1).take(message(0), { from: { ...TARGET, zone: "2" } });
    expect(zoned.seen().strangers).toEqual([]);
  });

  test("of many only some are told apart", () => {
    const booked = new Booked(1);
    for (let host = 1; host <= 200; host++) booked.take(message(0), { from: end(`10.1.1.${host}:1`) });
    expect(booked.seen().strangers).toHaveLength(8);
  });
});

describe("news", () => {
  test("are counted by who sent them and what they say", () => {
    const booked = new Booked(1).fail("refused", "10.0.0.1").fail("refused", "10.0.0.1");
    booked.fail("unreachable", "10.0.0.1").fail("refused", null).fail("fault", "10.0.0.2");
    expect(booked.seen().news.map(({ code, by, count }) => [code, by, count])).toEqual([
      ["refused", at("10.0.0.1"), 2],
      ["unreachable", at("10.0.0.1"), 1],
      ["refused", null, 1],
      ["unreachable", at("10.0.0.2"), 1],
    ]);
    expect(booked.book.hasNews).toBe(true);
  });

  test("of a datagram to someone else are not this flow's", () => {
    expect(new Booked(1).fail("refused", "10.0.0.1", end("10.9.9.9:1")).seen().news).toEqual([]);
  });

  test("of a narrow link are no refusal", () => {
    const booked = new Booked(1)
      .fail("too_big", "10.0.0.1", TARGET, 1400)
      .fail("too_big", "10.0.0.1", TARGET, 1300);
    expect(booked.seen()).toMatchObject({ news: [], narrow: { mtu: 1300, count: 2 } });
    expect(booked.book.hasNews).toBe(false);
  });

  test("of many senders take no more room than those of some", () => {
    const booked = new Booked(1);
    for (let host = 1; host <= 200; host++) booked.fail("refused", `10.1.1.${host}`);
    expect(booked.seen().news).toHaveLength(8);
  });
});

describe("what the kernel threw away", () => {
  test("was more than it had room for, where much came", () => {
    const booked = new Booked(1);
    for (let number = 0; number < 200; number++) booked.take("hello", { from: end("10.96.0.8:1") });
    expect(booked.seen(7)).toMatchObject({ dropped: 7 });
  });

  test("is the path's where little came: its checksum was wrong", () => {
    expect(new Booked(1).take(message(0)).seen(7).dropped).toBe(0);
    expect(new Booked(1).seen(null).dropped).toBe(0);
  });
});
