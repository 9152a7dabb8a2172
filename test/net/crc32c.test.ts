import { expect, test } from "bun:test";
import { crc32c } from "../../src/net/crc32c.ts";

const upwards = Uint8Array.from({ length: 32 }, (_, at) => at);

// The first is the check value of the CRC catalogues; those of 32 bytes are the examples of RFC 3720, B.4, as numbers.
const known: [string, Uint8Array, number][] = [
  ["the digits 1 to 9", new TextEncoder().encode("123456789"), 0xe3069283],
  ["nothing", new Uint8Array(0), 0],
  ["32 bytes 0", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes 255", new Uint8Array(32).fill(255), 0x62a8ab43],
  ["0 to 31", upwards, 0x46dd794e],
  ["31 to 0", upwards.toReversed(), 0x113fdb5c],
];

test.each(known)("CRC32c of %s", (_name, bytes, wanted) => {
  expect(crc32c(bytes)).toBe(wanted);
});
