import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/client/failure.ts";
import { FlowMessages } from "../../src/client/flow-messages.ts";
import { makePayload } from "../../src/client/payload.ts";
import type { Counts } from "../../src/client/tracker.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { good, KEY, SHORT_MS, SIZE } from "./fixtures.ts";
import { udpServer } from "./servers.ts";

/** A message's time: much longer than any answer takes that is not held back. */
const TIMEOUT_MS = 4000;
const COUNT = 100;
/** What is held back does not hold up the next message for longer. */
const PACE_MS = 20;

type Send = (bytes: Uint8Array) => void;

/** A server that is wrong with every tenth datagram, and what is counted then. */
interface Fault {
  readonly what: string;
  readonly wrong: (bytes: Buffer, send: Send, number: number) => void;
  /** What it does to the one after. */
  readonly after?: (bytes: Buffer, send: Send) => void;
  readonly counts: Partial<Counts>;
}

let held: Buffer = Buffer.alloc(0);

const FAULTS: Fault[] = [
  { what: "drops it", wrong() {}, counts: { answered: 90, lost: 10 } },
  {
    what: "answers twice",
    wrong(bytes, send) {
      send(bytes);
      send(bytes);
    },
    counts: { answered: 100, duplicated: 10 },
  },
  {
    what: "corrupts it",
    wrong(bytes, send) {
      bytes[40]! ^= 1;
      send(bytes);
    },
    counts: { answered: 90, corrupted: 10, replaced: 10 },
  },
  {
    what: "corrupts its number",
    wrong(bytes, send) {
      bytes[12]! ^= 1;
      send(bytes);
    },
    counts: { answered: 90, corrupted: 10, replaced: 10 },
  },
  {
    what: "cuts it short",
    wrong: (bytes, send) => send(bytes.subarray(0, 30)),
    counts: { answered: 90, corrupted: 10, replaced: 10 },
  },
  {
    what: "answers with another flow's",
    wrong: (_bytes, send, number) => send(makePayload({ ...KEY, flow: 2 }, number, SIZE)),
    counts: { answered: 90, foreign: 10, replaced: 10 },
  },
  {
    what: "answers with a stranger's as well",
    wrong(bytes, send) {
      send(Buffer.from("220 mail.example ready\r\n"));
      send(bytes);
    },
    counts: { answered: 100, foreign: 10 },
  },
  {
    what: "swaps it with the next",
    wrong(bytes) {
      held = bytes;
    },
    after(bytes, send) {
      send(bytes);
      send(held);
    },
    counts: { answered: 100, reordered: 10 },
  },
  {
    what: "holds it back for longer than its time",
    wrong: (bytes, send) => void setTimeout(() => send(bytes), 1.1 * TIMEOUT_MS),
    counts: { answered: 90, late: 10, reordered: 10 },
  },
];

/** Books the next thing that comes; false when nothing does. */
async function take(flow: UdpFlow, messages: FlowMessages, timeoutMs: number): Promise<boolean> {
  const came = await flow.receive(timeoutMs);
  if (came instanceof Failure) return false;
  messages.take(came.bytes, came.atMs);
  return true;
}

describe("a flow's messages, against a server that of every tenth", () => {
  for (const { what, wrong, after, counts } of FAULTS) {
    test(`${what}, are counted so`, async () => {
      let asked = 0;
      using server = await udpServer((bytes, send) => {
        const number = asked++;
        if (number % 10 === 3) wrong(bytes, send, number);
        else if (number % 10 === 4 && after !== undefined) after(bytes, send);
        else send(bytes);
      });
      await using flow = good(await UdpFlow.open(server.endpoint));
      const messages = new FlowMessages(KEY, SIZE, TIMEOUT_MS);
      for (let number = 0; number < COUNT; number++) {
        expect(flow.send(messages.next(performance.now()))).toBeNull();
        await take(flow, messages, PACE_MS);
      }
      const lastMs = counts.late === undefined ? SHORT_MS : 1.5 * TIMEOUT_MS;
      while (await take(flow, messages, lastMs));
      messages.tracker.finish();
      const seen = Object.entries(messages.counts).filter(([, count]) => count > 0);
      expect(Object.fromEntries(seen)).toEqual({ sent: COUNT, ...counts });
      expect(messages.roundTrips.count).toBe(messages.counts.answered + messages.counts.late);
    });
  }
});

describe("what is taken", () => {
  test("is named, with its number, its round trip or the flow it belongs to", () => {
    const messages = new FlowMessages(KEY, SIZE, 100);
    const first = messages.next(0);
    messages.next(1);
    const second = makePayload(KEY, 1, SIZE);
    const other = makePayload({ ...KEY, flow: 7 }, 0, SIZE);
    const spoilt = second.slice();
    spoilt[SIZE - 1]! ^= 1;
    const nothing = { number: null, roundTripMs: null, flow: null };
    expect(messages.take(first, 5)).toEqual({ ...nothing, what: "answered", number: 0, roundTripMs: 5 });
    expect(messages.take(first, 6)).toEqual({ ...nothing, what: "duplicated", number: 0 });
    expect(messages.take(other, 6)).toEqual({ ...nothing, what: "crossed", flow: 7 });
    expect(messages.take(spoilt, 6)).toEqual({ ...nothing, what: "corrupted", number: 1 });
    expect(messages.take(new Uint8Array(SIZE), 6)).toEqual({ ...nothing, what: "foreign" });
  });
});
