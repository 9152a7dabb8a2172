import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Address, sameAddress } from "../../src/net/address.ts";
import {
  BANNER_BYTES_MAX,
  type Banner,
  BannerReader,
  type Beginning,
  readBanner,
} from "../../src/net/banner.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../src/net/endpoint.ts";
import { Banner as BannerWriter } from "../../src/rules/banner.ts";

const EXAMPLE = "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.255.18.158:1234\nClient: 10.255.153.116:35953\n\n";
const FULL =
  "Thu Nov 26 01:02:03 UTC 2026\nServer: [fd00::1]:1234\nClient: [fe80::2%eth0]:9\n" +
  "Via: 10.0.0.9:7\nPod: server1\nNode: n1\nNamespace: echo\n\n";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** Reads in pieces of so many bytes; how many were taken until it was decided, and the decision. */
function readInPieces(bytes: Uint8Array, pieceBytes: number): [number, Beginning | null] {
  const reader = new BannerReader();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const beginning = reader.take(bytes.subarray(at, at + pieceBytes));
    if (beginning !== null) return [Math.min(bytes.length, at + pieceBytes), beginning];
  }
  return [bytes.length, null];
}

/** Reads all bytes in pieces of the lengths given, the last piece being the remainder. */
function readCut(bytes: Uint8Array, cuts: readonly number[]): Beginning {
  const reader = new BannerReader();
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const beginning = reader.take(bytes.subarray(at, at + cut));
    at = Math.min(bytes.length, at + cut);
    if (beginning !== null) {
      return { ...beginning, rest: Buffer.concat([beginning.rest, bytes.subarray(at)]) };
    }
  }
  return reader.giveUp();
}

const text = (end: Endpoint | null): string | null => (end === null ? null : formatEndpoint(end));
const says = ({ date, server, client, via, pod, node, namespace }: Banner): unknown[] => [
  date,
  text(server),
  text(client),
  text(via),
  pod,
  node,
  namespace,
];

describe("a banner", () => {
  test("is read for what it says", () => {
    const banner = readBanner(bytesOf(EXAMPLE))!;
    expect(says(banner)).toEqual([
      "Sun Jun 4 18:37:24 UTC 2023",
      "10.255.18.158:1234",
      "10.255.153.116:35953",
      null,
      null,
      null,
      null,
    ]);
    expect(banner.length).toBe(EXAMPLE.length);
  });

  test("is read with all that it may say", () => {
    expect(says(readBanner(bytesOf(FULL))!)).toEqual([
      "Thu Nov 26 01:02:03 UTC 2026",
      "[fd00::1]:1234",
      "[fe80::2%eth0]:9",
      "10.0.0.9:7",
      "server1",
      "n1",
      "echo",
    ]);
  });

  test("with lines of a later version is one", () => {
    const later = EXAMPLE.replace(/\n\n$/, "\nZone-Name: eu west\n\n");
    expect(readBanner(bytesOf(later))?.length).toBe(later.length);
  });

  test("in pieces of any size, with an echo glued on, leaves the echo", () => {
    const echo = Uint8Array.from([0xec, 10, 10, 0, 83, 255]);
    const bytes = Buffer.concat([bytesOf(FULL), echo]);
    for (let size = 1; size <= bytes.length; size++) {
      const [taken, beginning] = readInPieces(bytes, size);
      expect(beginning?.banner?.length).toBe(FULL.length);
      expect(textOf(beginning!.rest)).toBe(textOf(echo.subarray(0, taken - FULL.length)));
    }
  });
});

describe("no banner", () => {
  test("is seen at the first byte of a payload that starts like none", () => {
    for (let byte = 0; byte < 256; byte++) {
      const decided = new BannerReader().take(Uint8Array.of(byte)) !== null;
      expect([byte, decided]).toEqual([byte, !"SMTWF".includes(String.fromCharCode(byte))]);
    }
  });

  test("is seen as soon as the bytes say so, and nothing of them is lost", () => {
    const seenAt: [string, number][] = [
      ["Sux", 3],
      ["Sunday", 4],
      ["Sun Jul 4x", 10],
      ["Sun Jum", 7],
      ["Sun Jun 44 1x", 13],
      ["Sun Jun 4 18:37:24 UTC 20234", 28],
      ["Sun Jun 4 18:37:24 CET", 20],
      ["Sun Jun 4 18:37:24 UTC 2023\nX", 29],
      ["Sun Jun 4 18:37:24 UTC 2023\nServer: nobody\n", 43],
      ["Sun Jun 4 18:37:24 UTC 2023\nServer: 1.2.3.4:1\nClient: 1.2.3.4:1\npod", 65],
      ["Sun Jun 4 18:37:24 UTC 2023\n\n", 29],
      ["\ufeffSun Jun 4", 1],
    ];
    for (const [payload, expected] of seenAt) {
      const bytes = bytesOf(payload);
      const [taken, beginning] = readInPieces(bytes, 1);
      expect([payload, taken, beginning?.banner]).toEqual([payload, expected, null]);
      expect(textOf(beginning!.rest)).toBe(textOf(bytes.subarray(0, taken)));
    }
  });

  const wrong = [
    EXAMPLE.replace("Server", "Sender"),
    EXAMPLE.replace("Server: 10.255.18.158:1234", "Server: 10.255.18.158"),
    EXAMPLE.replace("35953", "70000"),
    EXAMPLE.replaceAll("\n", "\r\n"),
    FULL.replace("Via: 10.0.0.9:7", "Via: nobody"),
    FULL.replace("Node", "Pod"),
    FULL.replace("Node: n1", "Node:"),
    FULL.replace("n1", "n\u00001"),
    FULL.replace("n1", "n\u202e1"), // turns the rest of a line around
    FULL.replace("n1", "n\u200b1"), // is not seen
    FULL.replace("n1", "n\u20281"), // ends a line
  ];
  for (const [at, payload] of wrong.entries()) {
    test(`is what is almost one, ${at}`, () => {
      expect(new BannerReader().take(bytesOf(payload))?.banner).toBeNull();
      expect(readInPieces(bytesOf(payload), 1)[1]?.banner).toBeNull();
    });
  }

  test("is what never ends, and what is held of it is bounded", () => {
    const endless = bytesOf(`${EXAMPLE.slice(0, -1)}Pod: ${"p".repeat(2 * BANNER_BYTES_MAX)}`);
    const [taken, beginning] = readInPieces(endless, 100);
    expect(beginning?.banner).toBeNull();
    expect(taken).toBeLessThan(BANNER_BYTES_MAX + 100);
    const many = bytesOf(
      EXAMPLE.slice(0, -1) + Array.from({ length: 999 }, (_, n) => `F${"x".repeat(n)}: 1\n`).join(""),
    );
    expect(readInPieces(many, 1)[0]).toBeLessThanOrEqual(BANNER_BYTES_MAX + 1);
  });

  test("is a datagram with more than a banner, or with less", () => {
    expect(readBanner(bytesOf(`${EXAMPLE}x`))).toBeNull();
    expect(readBanner(bytesOf(EXAMPLE.slice(0, -1)))).toBeNull();
    expect(readBanner(new Uint8Array(0))).toBeNull();
  });

  test("is what the bytes so far are when no more will come", () => {
    const reader = new BannerReader();
    reader.take(bytesOf("Sun"));
    reader.take(bytesOf(" Jun"));
    expect(textOf(reader.giveUp().rest)).toBe("Sun Jun");
  });
});

describe("any bytes", () => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const address: fc.Arbitrary<Address> = fc.oneof(
    fc.record({ a0: word, a1: word, a2: word, a3: word }),
    word.map((a3) => ({ a0: 0, a1: 0, a2: 0xffff, a3 })),
  );
  const end = fc.record({ address, port: fc.integer({ min: 0, max: 65_535 }) });
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,60}$/);

  test("that the server's writer wrote are read as what it was given", () => {
    const fields = fc.record({ Pod: name, Node: name, Namespace: name }, { requiredKeys: [] });
    fc.assert(
      fc.property(end, end, fc.option(end), fields, (server, client, via, extra) => {
        const lines = Object.entries(extra).map(([key, value]) => `${key}: ${value}\n`);
        const writer = new BannerWriter(lines.join(""));
        const length = writer.write(server.address, server.port, client.address, client.port, via);
        const banner = readBanner(writer.bytes.subarray(0, length))!;
        expect(sameAddress(banner.server.address, server.address)).toBe(true);
        expect(sameAddress(banner.client.address, client.address)).toBe(true);
        expect([banner.server.port, banner.client.port, banner.length]).toEqual([
          server.port,
          client.port,
          length,
        ]);
        expect(text(banner.via)).toBe(text(via));
        expect([banner.pod, banner.node, banner.namespace]).toEqual([
          extra.Pod ?? null,
          extra.Node ?? null,
          extra.Namespace ?? null,
        ]);
      }),
    );
  });

  test("are all given back, and cut anywhere they are judged alike", () => {
    const near = fc
      .tuple(fc.constantFrom(EXAMPLE, FULL), fc.nat(250), fc.integer({ min: 0, max: 255 }), fc.uint8Array())
      .map(([banner, at, byte, echo]) => {
        const bytes = bytesOf(banner);
        if (at < bytes.length) bytes[at] = byte;
        return Buffer.concat([bytes, echo]);
      });
    fc.assert(
      fc.property(fc.oneof(near, fc.uint8Array()), fc.array(fc.nat(40)), (bytes, cuts) => {
        const whole = readCut(bytes, []);
        const cut = readCut(bytes, cuts);
        expect(cut.banner).toEqual(whole.banner);
        expect(textOf(cut.rest)).toBe(textOf(whole.rest));
        expect(textOf(whole.rest)).toBe(textOf(bytes.subarray(whole.banner?.length ?? 0)));
      }),
      { numRuns: 500 },
    );
  });

  test("of an endpoint are those that `parseEndpoint` reads", () => {
    const near = fc.stringMatching(/^[0-9a-f:.[\]%]{1,30}$/);
    fc.assert(
      fc.property(near, (server) => {
        const line = `Sun Jun 4 18:37:24 UTC 2023\nServer: ${server}\nClient: 1.2.3.4:5\n\n`;
        expect(readBanner(bytesOf(line)) !== null).toBe(parseEndpoint(server) !== null);
      }),
    );
  });
});
