import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type FlowKey,
  makePayload,
  newRun,
  type Reading,
  readPayload,
  tellsApart,
  WHOLE_BYTES,
} from "../../src/client/payload.ts";
import { BannerReader } from "../../src/net/banner.ts";

const run = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const flow = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.nat(9));
const key: fc.Arbitrary<FlowKey> = fc.record({ run, flow });
const number = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 48 - 2 }));
const size = fc.oneof(fc.nat(64), fc.nat(2000), fc.constantFrom(0, 1, 19, 20, 21, 65_507));
const wholeSize = fc.oneof(fc.integer({ min: WHOLE_BYTES, max: 200 }), fc.constant(65_507));

/** Reads with all messages of the flow having the size of this one. */
function read(bytes: Uint8Array, of: FlowKey, sent: number, size = bytes.length): Reading {
  return readPayload(bytes, of, sent, () => size);
}

describe("a payload", () => {
  test("has the size asked for, and is the same when it is made again", () => {
    fc.assert(
      fc.property(key, number, size, (of, n, bytes) => {
        const payload = makePayload(of, n, bytes);
        expect(payload.length).toBe(bytes);
        expect(Buffer.compare(payload, makePayload(of, n, bytes))).toBe(0);
      }),
    );
  });

  test("starts like no banner and no PROXY header", () => {
    fc.assert(
      fc.property(key, number, fc.integer({ min: 1, max: 64 }), (of, n, bytes) => {
        const payload = makePayload(of, n, bytes);
        expect(payload[0]! & 0x80).toBe(0x80);
        expect(new BannerReader().take(payload.subarray(0, 1))?.banner).toBeNull();
      }),
    );
  });

  test("that comes back is the flow's own, and says its number", () => {
    fc.assert(
      fc.property(key, number, wholeSize, fc.nat(1000), (of, n, bytes, later) => {
        expect(read(makePayload(of, n, bytes), of, n + 1 + later)).toEqual({ kind: "own", number: n });
      }),
    );
  });

  test("that is small is told from as many as `tellsApart` says", () => {
    fc.assert(
      fc.property(key, number, fc.integer({ min: 1, max: 19 }), fc.nat(2 ** 31), (of, n, bytes, later) => {
        const sent = n + 1 + (later % tellsApart(bytes).messages);
        expect(read(makePayload(of, n, bytes), of, sent)).toEqual({ kind: "own", number: n });
      }),
    );
    for (const bytes of [1, 2]) {
      const of = { run: newRun(), flow: 1 };
      const { messages } = tellsApart(bytes);
      const seen = new Set(Array.from({ length: messages }, (_, n) => makePayload(of, 7 + n, bytes).join()));
      expect(seen.size).toBe(messages);
    }
  });

  test("is read in the Buffer of a socket too, and left as it is", () => {
    fc.assert(
      fc.property(key, number, fc.integer({ min: 1, max: 40 }), (of, n, bytes) => {
        const came = Buffer.from(makePayload(of, n, bytes));
        expect(read(came, of, n + 1)).toEqual({ kind: "own", number: n });
        expect(Buffer.compare(came, makePayload(of, n, bytes))).toBe(0);
      }),
    );
  });
});

describe("a payload, changed or another's,", () => {
  test("with any one byte changed is corrupted, and says its number where its header is whole", () => {
    fc.assert(
      fc.property(
        key,
        number,
        wholeSize,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (of, n, bytes, at, flip) => {
          const payload = makePayload(of, n, bytes);
          payload[at % bytes]! ^= flip;
          const known = at % bytes >= WHOLE_BYTES;
          expect(read(payload, of, n + 1)).toEqual({ kind: "corrupted", number: known ? n : null });
        },
      ),
    );
  });

  test("cut or lengthened is corrupted", () => {
    fc.assert(
      fc.property(key, number, wholeSize, wholeSize, fc.nat(19), (of, n, bytes, other, short) => {
        const payload = makePayload(of, n, bytes);
        const changed = Buffer.concat([payload, new Uint8Array(other)]).subarray(0, other);
        if (other !== bytes)
          expect(read(changed, of, n + 1, bytes)).toEqual({ kind: "corrupted", number: n });
        const expected: Reading = short < 4 ? { kind: "foreign" } : { kind: "corrupted", number: null };
        if (short > 0) expect(read(payload.subarray(0, short), of, n + 1, bytes)).toEqual(expected);
      }),
    );
  });

  test("of another flow of the run says which, of another run or not sent yet is foreign", () => {
    fc.assert(
      fc.property(key, flow, run, number, wholeSize, (of, otherFlow, otherRun, n, bytes) => {
        fc.pre(otherFlow !== of.flow && otherRun !== of.run);
        const payload = makePayload(of, n, bytes);
        expect(read(payload, { ...of, flow: otherFlow }, n + 1)).toEqual({ kind: "crossed", flow: of.flow });
        expect(read(payload, { ...of, run: otherRun }, n + 1)).toEqual({ kind: "foreign" });
        expect(read(payload, of, n)).toEqual({ kind: "foreign" });
      }),
    );
  });

  test("that is empty is anybody's, once one was sent", () => {
    const of = { run: newRun(), flow: 0 };
    expect(read(new Uint8Array(0), of, 3)).toEqual({ kind: "own", number: 2 });
    expect(read(new Uint8Array(0), of, 0)).toEqual({ kind: "foreign" });
    expect(read(new Uint8Array(0), of, 3, 64)).toEqual({ kind: "foreign" });
    expect(tellsApart(0)).toEqual({ messages: 1, mistaken: 1, namesFlow: false });
  });

  test("of a stranger is mistaken for one of the flow's no more often than `tellsApart` says", () => {
    const of = { run: newRun(), flow: 1 };
    for (const bytes of [1, 2, 3, 4, 6]) {
      const { messages, mistaken } = tellsApart(bytes);
      const tries = 20_000;
      let taken = 0;
      for (let n = 0; n < tries; n++) {
        const stranger = crypto.getRandomValues(new Uint8Array(bytes));
        if (read(stranger, of, messages).kind === "own") taken++;
      }
      const deviation = Math.sqrt(tries * mistaken * (1 - mistaken));
      expect(taken).toBeLessThanOrEqual(tries * mistaken + 6 * deviation + 1);
    }
  });

  test("any bytes are read, and never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), key, fc.nat(), size, (bytes, of, sent, sizeSent) => {
        const { kind } = read(bytes, of, sent, sizeSent);
        expect(["own", "corrupted", "crossed", "foreign"]).toContain(kind);
      }),
    );
  });
});

test("runs are unlike each other, and fit 48 bits", () => {
  const runs = Array.from({ length: 1000 }, newRun);
  expect(new Set(runs).size).toBe(1000);
  expect(Math.max(...runs)).toBeLessThan(2 ** 48);
  expect(Math.max(...runs)).toBeGreaterThan(2 ** 40);
});
