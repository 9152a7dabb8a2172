import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Address, formatAddress, parseAddress } from "../../src/net/address.ts";
import {
  type Endpoint,
  endpointOf,
  formatEndpoint,
  hostOf,
  isLinkLocal,
  parseEndpoint,
  sameEndpoint,
} from "../../src/net/endpoint.ts";
import { ip } from "../rules/fixtures.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const v6 = fc.record({ a0: word, a1: word, a2: word, a3: word });
const v4 = word.map((a3): Address => ({ a0: 0, a1: 0, a2: 0xffff, a3 }));
const linkLocal = fc.record({ a0: fc.constant(0xfe800000 | 0), a1: word, a2: word, a3: word });
const port = fc.oneof(fc.integer({ min: 0, max: 65_535 }), fc.constantFrom(0, 1, 65_535));
const zone = fc.constantFrom("eth0", "2", "br-1.100", "wlp3s0", "veth12345678901");
const endpoint: fc.Arbitrary<Endpoint> = fc.oneof(
  fc.record({ address: fc.oneof(v4, v6), port }),
  fc.record({ address: linkLocal, port, zone }),
);

describe("an endpoint", () => {
  const texts: [string, Endpoint][] = [
    ["1.2.3.4:80", { address: ip("1.2.3.4"), port: 80 }],
    ["0.0.0.0:0", { address: ip("0.0.0.0"), port: 0 }],
    ["[::]:65535", { address: ip("::"), port: 65_535 }],
    ["[fd00::1]:1234", { address: ip("fd00::1"), port: 1234 }],
    ["[fe80::1%eth0]:1234", { address: ip("fe80::1"), port: 1234, zone: "eth0" }],
    ["[fe80::1%2]:1234", { address: ip("fe80::1"), port: 1234, zone: "2" }],
  ];
  for (const [text, value] of texts) {
    test(`${text} is read and written`, () => {
      expect(parseEndpoint(text)).toEqual(value);
      expect(formatEndpoint(value)).toBe(text);
    });
  }

  test("IPv6 in another spelling is read, and written as RFC 5952 has it", () => {
    expect(formatEndpoint(parseEndpoint("[FD00:0:0::0001]:7")!)).toBe("[fd00::1]:7");
    expect(formatEndpoint(parseEndpoint("[::ffff:10.0.0.1]:7")!)).toBe("10.0.0.1:7");
  });

  test("what is written is read back as the same", () => {
    fc.assert(
      fc.property(endpoint, (end) => {
        expect(sameEndpoint(parseEndpoint(formatEndpoint(end))!, end)).toBe(true);
        expect(sameEndpoint(endpointOf(hostOf(end), end.port)!, end)).toBe(true);
      }),
    );
  });

  test("two are the same with the same address, port and zone", () => {
    const one: Endpoint = { address: ip("fe80::1"), port: 7, zone: "eth0" };
    expect(sameEndpoint(one, { ...one, address: { ...one.address } })).toBe(true);
    expect(sameEndpoint(one, { ...one, port: 8 })).toBe(false);
    expect(sameEndpoint(one, { ...one, zone: "eth1" })).toBe(false);
    expect(sameEndpoint(one, { address: one.address, port: 7 })).toBe(false);
    expect(sameEndpoint(one, { ...one, address: ip("fe80::2") })).toBe(false);
  });

  test("a link-local address is one of fe80::/10", () => {
    for (const text of ["fe80::", "fe80::1", "febf:ffff::1"]) expect(isLinkLocal(ip(text))).toBe(true);
    for (const text of ["fec0::1", "fe7f::1", "::1", "169.254.0.1", "fd00::1"]) {
      expect(isLinkLocal(ip(text))).toBe(false);
    }
  });

  test("a host without brackets is read as a socket tells it", () => {
    expect(endpointOf("::ffff:127.0.0.1", 7)).toEqual({ address: parseAddress("127.0.0.1")!, port: 7 });
    expect(formatAddress(endpointOf("fe80::1%eth0", 7)!.address)).toBe("fe80::1");
    expect(endpointOf("[::1]", 7)).toBeNull();
    expect(endpointOf("::1", 65_536)).toBeNull();
    expect(endpointOf("::1", 1.5)).toBeNull();
  });
});

describe("text that is no endpoint", () => {
  const none = [
    "",
    ":",
    "80",
    "1.2.3.4",
    "1.2.3.4:",
    ":80",
    "localhost:80",
    "1.2.3.4:080",
    "1.2.3.4:+80",
    "1.2.3.4:-1",
    "1.2.3.4:8e1",
    "1.2.3.4:65536",
    "1.2.3.4:99999999999999999999",
    " 1.2.3.4:80",
    "1.2.3.4:80 ",
    "1.2.3.4:80\n",
    "1.2.3.4 :80",
    "[1.2.3.4]:80",
    "1.2.3.4%eth0:80",
    "fd00::1:80",
    "[fd00::1]",
    "[fd00::1]80",
    "[fd00::1:80",
    "fd00::1]:80",
    "[[fd00::1]]:80",
    "[fd00::1%eth0]:80",
    "[fe80::1%]:80",
    "[fe80::1%a b]:80",
    "[fe80::1%eth0%1]:80",
    "[fe80::1%sixteen-letters-]:80",
    "[::ffff:1.2.3.4%eth0]:80",
  ];
  for (const text of none) {
    test(`${JSON.stringify(text)} is none`, () => expect(parseEndpoint(text)).toBeNull());
  }

  test("any text is read or refused, and never throws", () => {
    const piece = fc.constantFrom("[", "]", ":", "%", ".", "1", "fe80", "::", "eth0", " ", "80", "65536");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join("")),
        ),
        (text) => {
          const end = parseEndpoint(text);
          if (end !== null) expect(sameEndpoint(parseEndpoint(formatEndpoint(end))!, end)).toBe(true);
        },
      ),
    );
  });
});
