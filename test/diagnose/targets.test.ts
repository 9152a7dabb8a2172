import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { endpointFor, parseTarget, refuseOtherFamily, type Target } from "../../src/diagnose/targets.ts";
import { UsageError } from "../../src/errors.ts";
import { formatAddress, isIPv4 } from "../../src/net/address.ts";
import { formatEndpoint, isLinkLocal, parseEndpoint } from "../../src/net/endpoint.ts";

/** The ends that a target means: `tcp 10.0.0.1:1234`; of a name with the name. */
function endsOf(target: Target): string[] {
  return target.protocols.map((protocol) => {
    const { address } = target;
    if (address !== null) return `${protocol} ${formatEndpoint(endpointFor(target, address, protocol))}`;
    return `${protocol} ${target.host} ${endpointFor(target, parseEndpoint("1.1.1.1:1")!, protocol).port}`;
  });
}

function complaint(text: string): string {
  try {
    parseTarget(text);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error(`${text} is allowed`);
}

describe("what a target means", () => {
  const meant: [string, string[]][] = [
    ["10.96.0.7", ["tcp 10.96.0.7:1234", "udp 10.96.0.7:5678"]],
    ["10.96.0.7:31234", ["tcp 10.96.0.7:31234", "udp 10.96.0.7:31234"]],
    ["tcp://10.96.0.7", ["tcp 10.96.0.7:1234"]],
    ["udp://10.96.0.7", ["udp 10.96.0.7:5678"]],
    ["udp://10.96.0.7:7", ["udp 10.96.0.7:7"]],
    ["echo-server", ["tcp echo-server 1234", "udp echo-server 5678"]],
    ["server1.headless", ["tcp server1.headless 1234", "udp server1.headless 5678"]],
    ["server1.headless.:65535", ["tcp server1.headless. 65535", "udp server1.headless. 65535"]],
    ["tcp://_echo._tcp.example", ["tcp _echo._tcp.example 1234"]],
    ["localhost:1", ["tcp localhost 1", "udp localhost 1"]],
    ["fd00::1", ["tcp [fd00::1]:1234", "udp [fd00::1]:5678"]],
    ["[fd00::1]", ["tcp [fd00::1]:1234", "udp [fd00::1]:5678"]],
    ["[fd00::1]:9", ["tcp [fd00::1]:9", "udp [fd00::1]:9"]],
    ["udp://fd00::1", ["udp [fd00::1]:5678"]],
    ["udp://[FD00:0::1]:7", ["udp [fd00::1]:7"]],
    ["::ffff:10.0.0.1", ["tcp 10.0.0.1:1234", "udp 10.0.0.1:5678"]],
    ["fe80::1%eth0", ["tcp [fe80::1%eth0]:1234", "udp [fe80::1%eth0]:5678"]],
    ["tcp://[fe80::1%2]:9", ["tcp [fe80::1%2]:9"]],
    ["::1", ["tcp [::1]:1234", "udp [::1]:5678"]],
  ];
  test.each(meant)("%s", (text, ends) => {
    const target = parseTarget(text);
    expect(target.text).toBe(text);
    expect(endsOf(target)).toEqual(ends);
  });
});

describe("what is no target says what is allowed, in one line", () => {
  const wrong: [string, string][] = [
    ["", "it has no host; allowed: HOST"],
    [":1234", "it has no host"],
    ["tcp://", "it has no host"],
    ["http://10.0.0.1", "http:// is not one of its forms; allowed: HOST, HOST:PORT, tcp://HOST"],
    ["TCP://10.0.0.1", "TCP:// is not one of its forms"],
    ["10.0.0.1:", '"" is no port; allowed: a port from 1 to 65535'],
    ["10.0.0.1:0", '"0" is no port'],
    ["10.0.0.1:65536", '"65536" is no port'],
    ["10.0.0.1:01234", '"01234" is no port'],
    ["echo-server:tcp", '"tcp" is no port'],
    ["[fd00::1]:x", '"x" is no port'],
    ["[fd00::1", "a bracket is out of place"],
    ["[fd00::1]1234", "a bracket is out of place"],
    ["[10.0.0.1]:1234", "brackets are for IPv6 addresses"],
    ["fd00::1::2", "its host is no IPv6 address"],
    ["10.0.0.1:80:90", "its host is no IPv6 address"],
    ["fe80::1", "a link-local address needs its zone; allowed: fe80::1%eth0"],
    ["udp://[fe80::1]:5678", "a link-local address needs its zone"],
    ["fd00::1%eth0", "a zone is for link-local addresses"],
    ["fe80::1%", "its zone is no name of an interface"],
    ["fe80::1%eth0:1234", "its zone is no name of an interface"],
    ["fe80::1%a/b", "its zone is no name of an interface"],
    ["256.1.1.1", "its host is no IPv4 address; allowed: four numbers from 0 to 255"],
    ["10.1", "its host is no IPv4 address"],
    ["0x7f.1", "its host is no IPv4 address"],
    ["server.0x10", "its host is no IPv4 address"],
    ["2130706433", "its host is no IPv4 address"],
    ["010.0.0.1", "its host is no IPv4 address"],
    ["0.0.0.0", "a server may listen on it, but nobody is there; allowed: a machine's own address"],
    ["[::]:1234", "a server may listen on it"],
    ["224.0.0.1", "it is no single machine's"],
    ["255.255.255.255", "it is no single machine's"],
    ["ff02::1", "it is no single machine's"],
    ["a b", "it is no host's name"],
    ["-a", "it is no host's name"],
    ["a..b", "it is no host's name"],
    ["a/b", "it is no host's name"],
    ["söder", "it is no host's name"],
    [`${"a".repeat(64)}.b`, "is no host's name"],
    ["a\nb", "it is no host's name"],
  ];
  test.each(wrong)("%j", (text, part) => {
    const said = complaint(text);
    expect(said).toContain(part);
    expect(said).toMatch(/^target "[^\n]* is not allowed: [^\n]+; allowed: [^\n]+$/);
  });

  test("a name may have 253 characters, and no more", () => {
    const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
    expect(parseTarget(`${long}.`).host).toBe(`${long}.`);
    expect(complaint(`${long}d`)).toContain("is no host's name");
  });
});

test("an address of the other version than the one asked for is refused; names are for the resolver", () => {
  const of = (texts: string[], family: 4 | 6 | null) => () =>
    refuseOtherFamily(texts.map(parseTarget), family);
  expect(of(["10.0.0.1", "server"], 6)).toThrow('target "10.0.0.1" is not allowed: it is IPv4');
  expect(of(["server", "[fd00::1]:7"], 4)).toThrow('target "[fd00::1]:7" is not allowed: it is IPv6');
  for (const family of [4, 6, null] as const) of(["server"], family)();
  of(["10.0.0.1", "fd00::1"], null)();
  of(["10.0.0.1", "::ffff:10.0.0.1"], 4)();
});

describe("whatever is written", () => {
  const word = fc.integer();
  const address = fc.record({ a0: word, a1: word, a2: word, a3: word });
  const v4 = word.map((a3) => ({ a0: 0, a1: 0, a2: 0xffff, a3 }));
  const port = fc.integer({ min: 1, max: 65_535 });

  test("is a target, or one line of complaint", () => {
    const parts = fc.constantFrom(
      "tcp://",
      "udp://",
      "[",
      "]",
      ":",
      "%",
      "fe80::1",
      "10.0.0.1",
      "a",
      ".",
      "0",
      "1234",
      " ",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(parts, { maxLength: 8 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (written) => {
        try {
          const target = parseTarget(written);
          expect(target.text).toBe(written);
          expect(target.protocols.length).toBeGreaterThan(0);
          expect(target.host).not.toBe("");
          // What is taken for a name is none of the forms that getaddrinfo takes for an address.
          if (target.address === null) expect(/(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(target.host)).toBe(false);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          expect(error.message).toMatch(/^[^\n\r]+; allowed: [^\n\r]+$/);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("an end that is written with its brackets is that end, by one protocol or by both", () => {
    const single = (address: { a0: number; a1: number; a2: number; a3: number }): boolean =>
      isIPv4(address)
        ? address.a3 !== 0 && address.a3 >>> 24 < 224
        : (address.a0 | address.a1 | address.a2 | address.a3) !== 0 && address.a0 >>> 24 !== 0xff;
    fc.assert(
      fc.property(fc.oneof(address, v4).filter(single), port, (address, port) => {
        const zone = isLinkLocal(address) ? { zone: "eth0" } : {};
        const text = formatEndpoint({ address, port, ...zone });
        expect(endsOf(parseTarget(text))).toEqual([`tcp ${text}`, `udp ${text}`]);
        expect(endsOf(parseTarget(`udp://${text}`))).toEqual([`udp ${text}`]);
        const alone = formatAddress(address) + (isLinkLocal(address) ? "%eth0" : "");
        expect(parseTarget(alone).host).toBe(alone);
      }),
    );
  });
});
