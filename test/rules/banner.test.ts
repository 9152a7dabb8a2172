import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import fc from "fast-check";
import { Banner, bannerBytesMax, formatDate } from "../../src/rules/banner.ts";
import { ip, text } from "./fixtures.ts";

/** The specification's own example: Sun Jun 4 18:37:24 UTC 2023. */
const EXAMPLE_MS = Date.UTC(2023, 5, 4, 18, 37, 24);

afterEach(() => {
  setSystemTime();
});

describe("the date", () => {
  test("as date(1) prints it, with single spaces", () => {
    expect(formatDate(EXAMPLE_MS)).toBe("Sun Jun 4 18:37:24 UTC 2023");
    expect(formatDate(Date.UTC(2024, 1, 29, 0, 0, 0, 999))).toBe("Thu Feb 29 00:00:00 UTC 2024");
    expect(formatDate(Date.UTC(2026, 11, 31, 23, 59, 59))).toBe("Thu Dec 31 23:59:59 UTC 2026");
    expect(formatDate(0)).toBe("Thu Jan 1 00:00:00 UTC 1970");
  });

  test("any second's is read back as that second", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
        expect(Date.parse(formatDate(second * 1000))).toBe(second * 1000);
      }),
    );
  });
});

describe("a banner", () => {
  const server = ip("10.255.18.158");
  const client = ip("10.255.153.116");

  test("is the three lines and an empty one", () => {
    setSystemTime(new Date(EXAMPLE_MS));
    const banner = new Banner("");
    const length = banner.write(server, 1234, client, 35953);
    expect(text(banner.bytes.subarray(0, length))).toBe(
      "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.255.18.158:1234\nClient: 10.255.153.116:35953\n\n",
    );
  });

  test("has IPv6 in brackets, and Via and fields between Client and the empty line", () => {
    setSystemTime(new Date(EXAMPLE_MS));
    const banner = new Banner("Pod: server1\nNode: n1\n");
    const via = { address: ip("fd00::9"), port: 7 };
    const length = banner.write(ip("fd00::1"), 1234, ip("2001:db8::2"), 1, via);
    expect(text(banner.bytes.subarray(0, length))).toBe(
      "Sun Jun 4 18:37:24 UTC 2023\nServer: [fd00::1]:1234\nClient: [2001:db8::2]:1\n" +
        "Via: [fd00::9]:7\nPod: server1\nNode: n1\n\n",
    );
  });

  test("follows the second, the server's address and its port", () => {
    setSystemTime(new Date(EXAMPLE_MS));
    const banner = new Banner("");
    const write = (...args: Parameters<Banner["write"]>): string =>
      text(banner.bytes.subarray(0, banner.write(...args)));
    const first = write(server, 1234, client, 1);
    setSystemTime(new Date(EXAMPLE_MS + 999));
    expect(write(server, 1234, client, 1)).toBe(first);
    setSystemTime(new Date(EXAMPLE_MS + 1000));
    expect(write(server, 1234, client, 1)).toStartWith("Sun Jun 4 18:37:25 UTC 2023\n");
    expect(write(server, 4321, client, 1)).toContain("\nServer: 10.255.18.158:4321\n");
    expect(write(ip("10.0.0.1"), 4321, client, 1)).toContain("\nServer: 10.0.0.1:4321\n");
    expect(write(ip("::1"), 4321, client, 1)).toContain("\nServer: [::1]:4321\n");
    expect(write(server, 1234, client, 1)).toContain("\nServer: 10.255.18.158:1234\n");
  });

  test("does not go by an address that an engine writes anew", () => {
    setSystemTime(new Date(EXAMPLE_MS));
    const banner = new Banner("");
    const reused = { ...ip("10.0.0.1") };
    banner.write(reused, 1234, client, 1);
    Object.assign(reused, ip("10.0.0.2"));
    const length = banner.write(reused, 1234, client, 1);
    expect(text(banner.bytes.subarray(0, length))).toContain("Server: 10.0.0.2:1234\n");
  });

  test("names any client, short after long, and nothing else", () => {
    setSystemTime(new Date(EXAMPLE_MS));
    const banner = new Banner("");
    const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 9, 10, 99, 100, 255));
    const port = fc.oneof(
      fc.integer({ min: 0, max: 65535 }),
      fc.constantFrom(0, 9, 10, 99, 100, 999, 1000, 9999, 10000),
    );
    fc.assert(
      fc.property(fc.tuple(byte, byte, byte, byte), port, ([a, b, c, d], clientPort) => {
        const length = banner.write(server, 1234, ip(`${a}.${b}.${c}.${d}`), clientPort);
        const [, , line, empty, rest, ...more] = text(banner.bytes.subarray(0, length)).split("\n");
        expect([line, empty, rest, more]).toEqual([`Client: ${a}.${b}.${c}.${d}:${clientPort}`, "", "", []]);
      }),
    );
  });

  test("never outgrows its memory", () => {
    const fields = `Pod: ${"p".repeat(253)}\nNode: nœud\n`;
    const longest = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    setSystemTime(new Date(Date.UTC(2026, 10, 30, 23, 59, 59)));
    const bytes = new Uint8Array(bannerBytesMax(fields)).fill(0xff);
    const banner = new Banner(fields, bytes);
    const length = banner.write(longest, 65535, longest, 65535, { address: longest, port: 65535 });
    expect(length).toBeLessThanOrEqual(bytes.length);
    const whole = new TextDecoder().decode(bytes.subarray(0, length));
    expect(whole).toEndWith(`Via: [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535\n${fields}\n`);
  });
});
