import { describe, expect, test } from "bun:test";
import { formatAddress } from "../../src/net/address.ts";
import { hasFullSignature, PROXY_HEADER_MAX, parseProxyHeader } from "../../src/rules/proxy.ts";
import { checksummed, INET, INET6, SIGNATURE_V2, text, UNIX, v2 } from "../clients/proxy-headers.ts";

const parse = (bytes: Uint8Array) => parseProxyHeader(bytes, bytes.length);

/** What is malformed is never taken for anything else on the way there, and stays so whatever follows. */
function expectMalformed(bytes: Uint8Array): void {
  const followed = new Uint8Array([...bytes, ...text("\r\nPROXY UNKNOWN\r\n")]);
  expect(parse(bytes).kind).toBe("malformed");
  expect(parse(followed).kind).toBe("malformed");
  for (let cut = 0; cut < bytes.length; cut++) {
    expect(parseProxyHeader(bytes, cut).kind).toBeOneOf(["more", "malformed"]);
  }
}

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
    ["PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0"],
    ["PROXY TCP6 2001:DB8::A ::1 1 2\r\n", "2001:db8::a 1"],
    ["PROXY TCP6 ::ffff:192.0.2.1 :: 56324 443\r\n", "192.0.2.1 56324"],
    [
      `PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`,
      `${"ffff:".repeat(7)}ffff 65535`,
    ],
    ["PROXY UNKNOWN\r\n", "own ends"],
    ["PROXY UNKNOWN \r\n", "own ends"],
    ["PROXY UNKNOWN \0\x7f TCP4 \t\r\n", "own ends"],
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
    "PROXY unknown\r\n",
    "PROXY UNKNOWN\n",
    "PROXY UNKNOWN and\nmore\r\n",
    "PROXY UNKNOWN\r\r\n",
    "PROXY TCP4  \r\n",
    "PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2  56324 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324  443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 \r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 0443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 00 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\0\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.256 56324 443\r\n",
    "PROXY TCP4 proxy.example 198.51.100.2 56324 443\r\n",
    "PROXY TCP4 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n",
    "PROXY TCP6 2001:db8::1 198.51.100.2 56324 443\r\n",
    "PROXY TCP6 2001:db8::1 ::1%eth0 56324 443\r\n",
    "PROXY TCP6 1:2:3:4:5:6:7 ::1 56324 443\r\n",
    "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 56324 443\r\n",
    "PROXY TCP6 1::2::3 ::1 56324 443\r\n",
    "PROXY TCP6 2001:db8::12345 ::1 56324 443\r\n",
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
    expectMalformed(text(line));
  });

  test("the longest line has 107 bytes", () => {
    const line = `PROXY UNKNOWN ${"x".repeat(91)}\r\n`;
    expect(line.length).toBe(107);
    expect(sourceText(text(line))).toBe("own ends");
    for (let cut = 6; cut < 107; cut++) expect(parseProxyHeader(text(line), cut).kind).toBe("more");
    expect(parse(text("PROXY ".padEnd(106, "x"))).kind).toBe("more");
    expect(parse(text("PROXY ".padEnd(107, "x"))).kind).toBe("malformed");
    expect(parse(text(`${"PROXY ".padEnd(106, "x")}\r`)).kind).toBe("malformed"); // its LF would be the 108th
  });
});

describe("version 2", () => {
  const valid: [string, Uint8Array, string][] = [
    ["PROXY over IPv4", v2(0x21, 0x11, INET), "10.1.2.3 4660"],
    ["PROXY over IPv6", v2(0x21, 0x21, INET6), "::1 4660"],
    ["PROXY with a checksum", checksummed(), "10.1.2.3 4660"],
    ["PROXY with a TLV of no length", v2(0x21, 0x11, [...INET, 0x04, 0, 0]), "10.1.2.3 4660"],
    ["PROXY over IPv6 with a TLV", v2(0x21, 0x21, [...INET6, 0x02, 0, 1, 0x61]), "::1 4660"],
    ["PROXY with TLVs", v2(0x21, 0x11, [...INET, 0x04, 0, 2, 1, 2, 0xea, 0, 0]), "10.1.2.3 4660"],
    ["LOCAL with nothing", v2(0x20, 0x00, []), "own ends"],
    ["LOCAL with addresses, which are ignored", v2(0x20, 0x11, INET), "own ends"],
    ["LOCAL with garbage, which is ignored", v2(0x20, 0x11, [1, 2, 3]), "own ends"],
    ["LOCAL with families to come, which are ignored", v2(0x20, 0xff, [1, 2, 3]), "own ends"],
    [
      "LOCAL with a wrong checksum, which is ignored",
      v2(0x20, 0x11, [...INET, 3, 0, 4, 9, 9, 9, 9]),
      "own ends",
    ],
    ["UNSPEC", v2(0x21, 0x00, []), "own ends"],
    ["UNSPEC with bytes of no known form", v2(0x21, 0x00, [9, 9, 9, 9, 9]), "own ends"],
    ["UNSPEC over IPv4", v2(0x21, 0x10, INET), "own ends"],
    ["a stream of UNSPEC", v2(0x21, 0x01, []), "own ends"],
    ["UNIX stream", v2(0x21, 0x31, UNIX), "own ends"],
    ["UNIX stream with a TLV", v2(0x21, 0x31, [...UNIX, 0x04, 0, 1, 1]), "own ends"],
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
    ["version 0", v2(0x01, 0x11, INET)],
    ["version 3", v2(0x31, 0x11, INET)],
    ["command 2", v2(0x22, 0x11, INET)],
    ["command 15", v2(0x2f, 0x11, INET)],
    ["address family 4", v2(0x21, 0x41, INET)],
    ["address family 15", v2(0x21, 0xf1, INET)],
    ["transport 3", v2(0x21, 0x13, INET)],
    ["transport 15", v2(0x21, 0x1f, INET)],
    ["IPv4 without addresses", v2(0x21, 0x11, [])],
    ["datagrams over IPv4, addresses cut short", v2(0x21, 0x12, INET.slice(0, 11))],
    ["UNSPEC over IPv6, addresses cut short", v2(0x21, 0x20, INET6.slice(0, 35))],
    ["IPv4 addresses cut short", v2(0x21, 0x11, INET.slice(0, 11))],
    ["IPv6 addresses cut short", v2(0x21, 0x21, INET6.slice(0, 35))],
    ["UNIX addresses cut short", v2(0x21, 0x31, UNIX.slice(0, 215))],
    ["a TLV cut off", v2(0x21, 0x11, [...INET, 0x04, 0])],
    ["a TLV longer than the header", v2(0x21, 0x11, [...INET, 0x04, 0, 9, 1])],
    ["one byte behind the addresses", v2(0x21, 0x21, [...INET6, 0x04])],
    ["a TLV cut off behind another", v2(0x21, 0x11, [...INET, 0x04, 0, 0, 0x04])],
    ["a TLV cut off behind UNIX addresses", v2(0x21, 0x31, [...UNIX, 0x04, 0, 9, 1])],
    ["a checksum of 5 bytes", v2(0x21, 0x11, [...INET, 0x03, 0, 5, 1, 2, 3, 4, 5])],
    ["a checksum of 3 bytes", v2(0x21, 0x11, [...INET, 0x03, 0, 3, 1, 2, 3])],
    ["a wrong checksum", v2(0x21, 0x11, [...INET, 0x03, 0, 4, 1, 2, 3, 4])],
    ["a wrong checksum behind UNIX addresses", v2(0x21, 0x31, [...UNIX, 0x03, 0, 4, 1, 2, 3, 4])],
    ["a wrong checksum of datagrams", v2(0x21, 0x22, [...INET6, 0x03, 0, 4, 1, 2, 3, 4])],
    ["longer than is taken", v2(0x21, 0x11, INET, 65535)],
    ["LOCAL, longer than is taken", v2(0x20, 0x00, [], PROXY_HEADER_MAX - 16 + 1)],
  ];

  test.each(malformed)("%s is malformed", (_name, bytes) => {
    expectMalformed(bytes);
  });

  test("the fixed part is judged as soon as it is there", () => {
    expect(parseProxyHeader(v2(0x31, 0x11, INET), 13).kind).toBe("malformed");
    expect(parseProxyHeader(v2(0x21, 0x41, INET), 16).kind).toBe("malformed");
    expect(parseProxyHeader(v2(0x21, 0x11, [], 11), 16).kind).toBe("malformed");
    expect(parseProxyHeader(v2(0x21, 0x11, [], 65535), 16).kind).toBe("malformed");
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

describe("the bytes of version 2", () => {
  // A Buffer's slice is a view: a checksum zeroed there would be zeroed in what the caller holds.
  test("a Buffer is read like any other bytes, and left as it was", () => {
    const bytes = Buffer.from(checksummed());
    const before = bytes.toString("hex");
    expect(sourceText(bytes)).toBe("10.1.2.3 4660");
    expect(sourceText(bytes)).toBe("10.1.2.3 4660");
    expect(bytes.toString("hex")).toBe(before);
  });

  test("a window into a larger buffer is read from its own start", () => {
    const large = new Uint8Array([1, 2, 3, ...checksummed(), 4]);
    expect(sourceText(large.subarray(3))).toBe("10.1.2.3 4660");
  });
});

describe("the checksum of version 2", () => {
  test("one checksum is computed at most, so that a header cannot buy more work than its length", () => {
    const checksum = [0x03, 0, 4, 0, 0, 0, 0];
    const bytes = v2(0x21, 0x11, [...INET, ...checksum, ...checksum]);
    expect(parse(bytes)).toEqual({ kind: "malformed", why: "a second checksum" });
  });

  test("a checksum tells of any wrong bit in the addresses, in another TLV's value and in itself", () => {
    const bytes = checksummed();
    const addresses = INET.map((_, at) => 16 + at);
    for (const at of [...addresses, 31, 35, 36, 37, 38, 42, 43]) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = bytes.slice();
        changed[at]! ^= 1 << bit;
        expect(parse(changed)).toEqual({ kind: "malformed", why: "the checksum is wrong" });
      }
    }
  });
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
