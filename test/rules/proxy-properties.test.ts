import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Address, parseAddress } from "../../src/net/address.ts";
import { hasFullSignature, parseProxyHeader } from "../../src/rules/proxy.ts";
import { SIGNATURE_V2, text, v2 } from "../clients/proxy-headers.ts";

/** What holds of the PROXY parser for any header, any split and any bytes. */

const parse = (bytes: Uint8Array) => parseProxyHeader(bytes, bytes.length);

const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((literal) => [literal, parseAddress(literal)!] as const);
const port = fc.integer({ min: 0, max: 65535 });
const ends = fc.oneof(
  fc.tuple(fc.constant("TCP4"), fc.ipV4(), fc.ipV4()),
  fc.tuple(fc.constant("TCP6"), fc.ipV6(), fc.ipV6()),
);

test("a header that was written is read back, at any split, and only when it is whole", () => {
  fc.assert(
    fc.property(ends, port, port, fc.uint8Array({ maxLength: 40 }), ([family, from, to], p, q, data) => {
      const header = text(`PROXY ${family} ${from} ${to} ${p} ${q}\r\n`);
      const bytes = new Uint8Array([...header, ...data]);
      for (let length = 0; length < header.length; length++) {
        expect(parseProxyHeader(bytes, length).kind).toBe("more");
      }
      expect(parse(bytes)).toEqual({
        kind: "header",
        version: 1,
        length: header.length,
        source: { ...parseAddress(from)!, port: p },
      });
    }),
  );
});

test("an address of either family comes through version 2", () => {
  fc.assert(
    fc.property(address, port, ([literal, words], p) => {
      const six = literal.includes(":");
      const bytes = six ? v2(0x21, 0x21, new Array(36).fill(0)) : v2(0x21, 0x11, new Array(12).fill(0));
      const view = new DataView(bytes.buffer);
      const parts: (keyof Address)[] = six ? ["a0", "a1", "a2", "a3"] : ["a3"];
      for (const [at, part] of parts.entries()) view.setInt32(16 + at * 4, words[part]);
      view.setUint16(six ? 48 : 24, p);
      const verdict = parse(bytes);
      expect(verdict.kind === "header" && verdict.source).toEqual({ ...words, port: p });
    }),
  );
});

test("no bytes make it throw, read beyond them, or take back a verdict", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const fixedPart = fc
    .tuple(
      fc.constantFrom(0x20, 0x21),
      fc.constantFrom(0x00, 0x11, 0x12, 0x21, 0x31),
      fc.constantFrom(0, 1),
      byte,
    )
    .map((four) => new Uint8Array([...SIGNATURE_V2, ...four]));
  const start = fc.oneof(
    fc.constantFrom(text("PROXY "), text("PROXY TCP4 1.2.3.4 "), text("PROXY UNKNOWN ")),
    fc.constant(new Uint8Array(SIGNATURE_V2)),
    fixedPart,
    fixedPart.map((header) => header.subarray(0, 14)),
    fc.uint8Array(),
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 600 }), (head, tail) => {
      const bytes = new Uint8Array([...head, ...tail]);
      let decided: string | null = null;
      for (let length = 0; length <= bytes.length; length++) {
        const verdict = parseProxyHeader(bytes, length);
        if (decided !== null) expect(verdict.kind).toBe(decided as typeof verdict.kind);
        if (verdict.kind !== "more") decided = verdict.kind;
        if (verdict.kind === "header") expect(verdict.length).toBeLessThanOrEqual(length);
        if (verdict.kind === "plain") expect(hasFullSignature(bytes, length)).toBe(false);
        if (verdict.kind === "header" || verdict.kind === "malformed") {
          expect(hasFullSignature(bytes, length)).toBe(true);
        }
        const alone = bytes.slice(0, length);
        expect(parseProxyHeader(alone, length)).toEqual(verdict);
      }
    }),
    { numRuns: 60 },
  );
});
