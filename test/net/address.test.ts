import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatAddress,
  inCidr,
  isIPv4,
  parseAddress,
  parseCidr,
  sameAddress,
} from "../../src/net/address.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { ip } from "../rules/fixtures.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
/** Half of the groups zero, so that runs of zeros of every length and place come up. */
const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });

describe("parsing", () => {
  const valid: [string, [number, number, number, number]][] = [
    ["0.0.0.0", [0, 0, 0xffff, 0]],
    ["127.0.0.1", [0, 0, 0xffff, 0x7f000001]],
    ["255.255.255.255", [0, 0, 0xffff, -1]],
    ["::", [0, 0, 0, 0]],
    ["::1", [0, 0, 0, 1]],
    ["1::", [0x10000, 0, 0, 0]],
    ["::ffff:10.1.2.3", [0, 0, 0xffff, 0x0a010203]],
    ["::FFFF:a01:203", [0, 0, 0xffff, 0x0a010203]],
    ["64:ff9b::192.0.2.33", [0x64ff9b, 0, 0, 0xc0000221 | 0]],
    ["fd00:1:2:3:4:5:6:7", [0xfd000001 | 0, 0x20003, 0x40005, 0x60007]],
    ["1:2:3:4:5:6:7::", [0x10002, 0x30004, 0x50006, 0x70000]],
    ["fe80::1%eth0", [0xfe800000 | 0, 0, 0, 1]],
  ];
  for (const [text, [a0, a1, a2, a3]] of valid) {
    test(text, () => expect(parseAddress(text)).toEqual({ a0, a1, a2, a3 }));
  }

  const invalid = [
    "",
    " ",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "1.2.3.-4",
    "0x7f.0.0.1",
    "1.2.3.4 ",
    "1.2.3.4\n",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1::",
    "12345::",
    "g::",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "::1.2.3",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "[::1]",
    "::1 ",
    "::1\n",
  ];
  for (const text of invalid) {
    test(`not ${JSON.stringify(text)}`, () => expect(parseAddress(text)).toBeNull());
  }
});

describe("text", () => {
  const canonical: [string, string][] = [
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // RFC 5952, 4.2.2: one zero group is not shortened
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // 4.2.3: the longest run
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // 4.2.3: the first of equals
    ["2001:DB8::A", "2001:db8::a"],
  ];
  for (const [text, expected] of canonical) {
    test(`${text} is ${expected}`, () => expect(formatAddress(ip(text))).toBe(expected));
  }

  test("an endpoint: IPv6 in brackets, IPv4 and mapped IPv4 without", () => {
    expect(formatEndpoint({ address: ip("10.1.2.3"), port: 80 })).toBe("10.1.2.3:80");
    expect(formatEndpoint({ address: ip("::ffff:10.1.2.3"), port: 65535 })).toBe("10.1.2.3:65535");
    expect(formatEndpoint({ address: ip("fd00::1"), port: 1234 })).toBe("[fd00::1]:1234");
  });

  test("any address comes back from its text", () => {
    fc.assert(
      fc.property(word, word, word, word, (a0, a1, a2, a3) => {
        const address = { a0, a1, a2, a3 };
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  test("any IPv6 address is written as the URL standard writes it", () => {
    fc.assert(
      fc.property(groups, (numbers) => {
        const full = numbers.map((number) => number.toString(16)).join(":");
        const address = ip(full);
        fc.pre(!isIPv4(address)); // URLs keep mapped addresses in hexadecimal
        expect(`[${formatAddress(address)}]`).toBe(new URL(`http://[${full}]/`).hostname);
      }),
      { numRuns: 500 },
    );
  });
});

test("addresses differ by any one word", () => {
  const address = ip("1:2:3:4:5:6:7:8");
  expect(sameAddress(address, { ...address })).toBe(true);
  for (const changed of ["a0", "a1", "a2", "a3"] as const) {
    expect(sameAddress(address, { ...address, [changed]: 99 })).toBe(false);
  }
});

describe("blocks", () => {
  const cases: [string, string, boolean][] = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::a00:1", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "203.0.113.9", true],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["192.0.2.128/25", "192.0.2.128", true],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["128.0.0.0/1", "255.0.0.1", true],
    ["128.0.0.0/1", "127.0.0.1", false],
    ["fd00::/8", "fdff::1", true],
    ["fd00::/8", "fc00::1", false],
    ["2001:db8:0:0:8000::/65", "2001:db8::8000:0:0:1", true],
    ["2001:db8:0:0:8000::/65", "2001:db8::1", false],
    ["fd00::1", "fd00::1", true],
    ["fd00::1", "fd00::2", false],
  ];
  for (const [block, address, inside] of cases) {
    test(`${address} is ${inside ? "" : "not "}in ${block}`, () => {
      expect(inCidr(parseCidr(block)!, ip(address))).toBe(inside);
    });
  }

  for (const text of [
    "",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.1/8",
    "10.0.0.0/8 ",
    "fd00::/129",
    "fd00::1/64",
    "fe80::%eth0/64",
    "any",
    "/8",
  ]) {
    test(`not ${JSON.stringify(text)}`, () => expect(parseCidr(text)).toBeNull());
  }

  test("an address is in the block of its first n bits, and not in the block where bit n is another", () => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 1, max: 128 }), (numbers, length) => {
        const bits = numbers.map((number) => number.toString(2).padStart(16, "0")).join("");
        const address = ip(numbers.map((number) => number.toString(16)).join(":"));
        const block = (prefix: string): string => {
          const padded = prefix.padEnd(128, "0").match(/.{16}/g)!;
          return `${padded.map((part) => Number.parseInt(part, 2).toString(16)).join(":")}/${length}`;
        };
        const prefix = bits.slice(0, length);
        const turned = `${prefix.slice(0, -1)}${prefix.endsWith("1") ? "0" : "1"}`;
        expect(inCidr(parseCidr(block(prefix))!, address)).toBe(true);
        expect(inCidr(parseCidr(block(turned))!, address)).toBe(false);
      }),
    );
  });
});
