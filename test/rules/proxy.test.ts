import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Address, formatAddress, parseAddress } from "../../src/rules/address.ts";
import { crc32c } from "../../src/rules/crc32c.ts";
import { hasFullSignature, PROXY_HEADER_MAX, parseProxyHeader } from "../../src/rules/proxy.ts";

const SIGNATURE_V2 = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

const text = (line: string): Uint8Array => new TextEncoder().encode(line);
const parse = (bytes: Uint8Array) => parseProxyHeader(bytes, bytes.length);

/** A version 2 header: the byte of version and command, that of family and transport, and what follows the length. */
function v2(
  versionCommand: number,
  familyTransport: number,
  body: readonly number[],
  length = body.length,
): Uint8Array {
  return new Uint8Array([
    ...SIGNATURE_V2,
    versionCommand,
    familyTransport,
    length >> 8,
    length & 255,
    ...body,
  ]);
}

const INET = [10, 1, 2, 3, 10, 9, 8, 7, 0x12, 0x34, 0x00, 0x50];
const INET6 = [...new Array(15).fill(0), 1, ...new Array(15).fill(0), 2, 0x12, 0x34, 0x00, 0x50];
const UNIX = new Array<number>(216).fill(0x2f);

function sourceText(bytes: Uint8Array): string {
  const verdict = parse(bytes);
  if (verdict.kind !== "header") return verdict.kind;
  return verdict.source === null ? "own ends" : `${formatAddress(verdict.source)} ${verdict.source.port}`;
}

describe("version 1", () => {
  const valid: [string, string][] = [
    ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1 56324"],
    ["PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535"],
    ["PROXY TCP4 192.0.2.1 198.51.100.2 0 443\r\n", "192.0.2.1 0"],
    ["PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", "2001:db8::1 56324"],
    ["PROXY UNKNOWN\r\n", "own ends"],
    ["PROXY UNKNOWN ffff::1 nonsense of any kind 65535 65535\r\n", "own ends"],
  ];

  test.each(valid)("%p is a header", (line, wanted) => {
    const bytes = text(line);
    expect(sourceText(bytes)).toBe(wanted);
    for (let cut = 0; cut < bytes.length; cut++) expect(parseProxyHeader(bytes, cut).kind).toBe("more");
    const withData = parse(text(`${line}PROXY and data`));
    expect(withData.kind === "header" && withData.length).toBe(bytes.length);
  });

  const malformed = [
    "PROXY \r\n",
    "PROXY TCP4\r\n",
    "PROXY TCP5 192.0.2.1 198.51.100.2 56324 443\r\n",
    "PROXY tcp4 192.0.2.1 198.51.100.2 56324 443\r\n",
    "PROXY UNKNOWNX\r\n",
    "PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1e3 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 0x50 443\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 192.0.02.1 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 2001:db8::1 ::1 56324 443\r\n",
    "PROXY TCP4 192.0.2.1 ::1 56324 443\r\n",
    "PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n",
    "PROXY TCP6 2001:db8:::1 ::1 56324 443\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
    "PROXY TCP6 [2001:db8::1] ::1 56324 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\rX",
    "PROXY TCP4\t192.0.2.1 198.51.100.2 56324 443\r\n",
    `PROXY UNKNOWN ${"x".repeat(92)}\r\n`,
    `PROXY UNKNOWN ${"x".repeat(200)}`,
    `PROXY ${"\0".repeat(101)}`,
  ];

  test.each(malformed)("%p is malformed", (line) => {
    expect(parse(text(line)).kind).toBe("malformed");
  });

  test("the longest line has 107 bytes", () => {
    const line = `PROXY UNKNOWN ${"x".repeat(91)}\r\n`;
    expect(line.length).toBe(107);
    expect(sourceText(text(line))).toBe("own ends");
  });
});

describe("version 2", () => {
  const valid: [string, Uint8Array, string][] = [
    ["PROXY over IPv4", v2(0x21, 0x11, INET), "10.1.2.3 4660"],
    ["PROXY over IPv6", v2(0x21, 0x21, INET6), "::1 4660"],
    ["PROXY with TLVs", v2(0x21, 0x11, [...INET, 0x04, 0, 2, 1, 2, 0xea, 0, 0]), "10.1.2.3 4660"],
    ["LOCAL with nothing", v2(0x20, 0x00, []), "own ends"],
    ["LOCAL with addresses, which are ignored", v2(0x20, 0x11, INET), "own ends"],
    ["LOCAL with garbage, which is ignored", v2(0x20, 0x11, [1, 2, 3]), "own ends"],
    ["UNSPEC", v2(0x21, 0x00, []), "own ends"],
    ["UNSPEC with bytes of no known form", v2(0x21, 0x00, [9, 9, 9, 9, 9]), "own ends"],
    ["UNIX stream", v2(0x21, 0x31, UNIX), "own ends"],
    ["UNIX datagram", v2(0x21, 0x32, UNIX), "own ends"],
    ["UDP over IPv4", v2(0x21, 0x12, INET), "own ends"],
    ["UDP over IPv6", v2(0x21, 0x22, INET6), "own ends"],
  ];

  test.each(valid)("%s", (_name, bytes, wanted) => {
    expect(sourceText(bytes)).toBe(wanted);
    for (let cut = 0; cut < bytes.length; cut++) expect(parseProxyHeader(bytes, cut).kind).toBe("more");
    const followed = new Uint8Array([...bytes, ...SIGNATURE_V2, 1, 2, 3]);
    const verdict = parse(followed);
    expect(verdict.kind === "header" && verdict.length).toBe(bytes.length);
  });

  const malformed: [string, Uint8Array][] = [
    ["version 1 in a binary header", v2(0x11, 0x11, INET)],
    ["version 3", v2(0x31, 0x11, INET)],
    ["command 2", v2(0x22, 0x11, INET)],
    ["address family 4", v2(0x21, 0x41, INET)],
    ["transport 3", v2(0x21, 0x13, INET)],
    ["IPv4 addresses cut short", v2(0x21, 0x11, INET.slice(0, 11))],
    ["IPv6 addresses cut short", v2(0x21, 0x21, INET6.slice(0, 35))],
    ["UNIX addresses cut short", v2(0x21, 0x31, UNIX.slice(0, 215))],
    ["a TLV cut off", v2(0x21, 0x11, [...INET, 0x04, 0])],
    ["a TLV longer than the header", v2(0x21, 0x11, [...INET, 0x04, 0, 9, 1])],
    ["a checksum of 3 bytes", v2(0x21, 0x11, [...INET, 0x03, 0, 3, 1, 2, 3])],
    ["a wrong checksum", v2(0x21, 0x11, [...INET, 0x03, 0, 4, 1, 2, 3, 4])],
    ["longer than is taken", v2(0x21, 0x11, INET, 65535)],
  ];

  test.each(malformed)("%s is malformed", (_name, bytes) => {
    expect(parse(bytes).kind).toBe("malformed");
  });

  test("version and command are judged as soon as they are there", () => {
    expect(parseProxyHeader(v2(0x31, 0x11, INET), 13).kind).toBe("malformed");
  });

  test("a right checksum is taken", () => {
    const bytes = v2(0x21, 0x11, [...INET, 0x03, 0, 4, 0, 0, 0, 0]);
    new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes));
    expect(sourceText(bytes)).toBe("10.1.2.3 4660");
  });

  test("the longest header that is taken", () => {
    const value = PROXY_HEADER_MAX - 16 - 12 - 3;
    const fill = new Array<number>(value).fill(7);
    expect(sourceText(v2(0x21, 0x11, [...INET, 0x04, value >> 8, value & 255, ...fill]))).toBe(
      "10.1.2.3 4660",
    );
    expect(parse(v2(0x21, 0x11, INET, PROXY_HEADER_MAX - 16 + 1)).kind).toBe("malformed");
  });
});

test("CRC32c has the check value of its catalogue", () => {
  expect(crc32c(text("123456789"))).toBe(0xe3069283);
});

test("what is no signature is plain data, from its first other byte on", () => {
  for (const line of ["GET / HTTP/1.1\r\n", "PROXYX", "PROXY\r\n", "proxy ", "\r\n\r\nX", "\0", "P\0"]) {
    expect(parse(text(line)).kind).toBe("plain");
    expect(hasFullSignature(text(line), line.length)).toBe(false);
  }
  expect(parse(new Uint8Array(0)).kind).toBe("more");
  expect(hasFullSignature(text("PROXY "), 5)).toBe(false);
  expect(hasFullSignature(text("PROXY "), 6)).toBe(true);
  expect(hasFullSignature(new Uint8Array(SIGNATURE_V2), 12)).toBe(true);
});

describe("properties", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((literal) => [literal, parseAddress(literal)!] as const);
  const port = fc.integer({ min: 0, max: 65535 });

  test("a header that was written is read back, at any split, and only when it is whole", () => {
    fc.assert(
      fc.property(
        fc.ipV4(),
        fc.ipV4(),
        port,
        port,
        fc.uint8Array({ maxLength: 40 }),
        (from, to, p, q, data) => {
          const header = text(`PROXY TCP4 ${from} ${to} ${p} ${q}\r\n`);
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
        },
      ),
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
    const start = fc.oneof(
      fc.constant(text("PROXY ")),
      fc.constant(new Uint8Array(SIGNATURE_V2)),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        const bytes = new Uint8Array([...head, ...tail]);
        let decided: string | null = null;
        for (let length = 0; length <= bytes.length; length++) {
          const verdict = parseProxyHeader(bytes, length);
          if (decided !== null) expect(verdict.kind).toBe(decided as typeof verdict.kind);
          if (verdict.kind !== "more") decided = verdict.kind;
          if (verdict.kind === "header") expect(verdict.length).toBeLessThanOrEqual(length);
          const alone = bytes.slice(0, length);
          expect(parseProxyHeader(alone, length)).toEqual(verdict);
        }
      }),
      { numRuns: 60 },
    );
  });
});
