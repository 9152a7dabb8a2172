import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Expected } from "../../src/client/expected.ts";

const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 });
const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 });

function piecesOf(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of [...lengths, bytes.length]) {
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

describe("a stream", () => {
  test("that brings what was sent is right, however it is cut and whenever it comes", () => {
    fc.assert(
      fc.property(messages, cuts, fc.array(fc.boolean()), (sent, lengths, takeFirst) => {
        const expected = new Expected();
        const coming = piecesOf(Buffer.concat(sent), lengths);
        const waiting = [...sent];
        for (const take of takeFirst) {
          if (take && coming.length > 0) expected.take(coming.shift()!);
          else if (waiting.length > 0) expected.send(waiting.shift()!);
        }
        for (const message of waiting) expected.send(message);
        for (const bytes of coming) expected.take(bytes);
        const total = Buffer.concat(sent).length;
        expect([expected.total, expected.due, expected.earlyBytes, expected.wrong]).toEqual([
          total,
          0,
          0,
          null,
        ]);
      }),
    );
  });

  test("with a wrong byte is right up to it, and no further", () => {
    fc.assert(
      fc.property(
        messages,
        cuts,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (sent, lengths, where, flip) => {
          const all = Buffer.concat(sent);
          fc.pre(all.length > 0);
          const at = where % all.length;
          const came = Uint8Array.from(all);
          came[at]! ^= flip;
          const expected = new Expected();
          for (const message of sent) expected.send(message);
          for (const bytes of piecesOf(came, lengths)) expected.take(bytes);
          expect(expected.total).toBe(at);
          // What is kept begins with the message that the byte belongs to.
          let start = 0;
          for (const message of sent) {
            if (start + message.length > at) break;
            start += message.length;
          }
          expect(Buffer.compare(expected.wrong!, came.subarray(start))).toBe(0);
        },
      ),
    );
  });

  test("with more than was sent has the rest as early bytes", () => {
    const expected = new Expected();
    expected.send(Uint8Array.of(1, 2));
    expected.take(Uint8Array.of(1, 2, 3, 4));
    expect([expected.total, expected.due, expected.earlyBytes]).toEqual([2, 0, 2]);
  });
});
