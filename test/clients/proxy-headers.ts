import { crc32c } from "../../src/net/crc32c.ts";

/** PROXY protocol headers, right and wrong, as bytes. */

/** The 12 bytes that open a version 2 header. */
export const SIGNATURE_V2 = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** Both ends of a version 2 header: 10.1.2.3:4660 to 10.9.8.7:80. */
export const INET = [10, 1, 2, 3, 10, 9, 8, 7, 0x12, 0x34, 0x00, 0x50];
/** [::1]:4660 to [::2]:80. */
export const INET6 = [
  ...new Array<number>(15).fill(0),
  1,
  ...new Array<number>(15).fill(0),
  2,
  ...INET.slice(8),
];
export const UNIX = new Array<number>(216).fill(0x2f);

export function text(line: string): Uint8Array {
  return new TextEncoder().encode(line);
}

/** A version 2 header: the byte of version and command, that of family and transport, and what follows the length. */
export function v2(
  versionCommand: number,
  familyTransport: number,
  body: readonly number[],
  length = body.length,
): Uint8Array {
  const fixed = [versionCommand, familyTransport, length >> 8, length & 255];
  return new Uint8Array([...SIGNATURE_V2, ...fixed, ...body]);
}

/** PROXY over IPv4 with a right checksum, and a TLV of 1 byte before and one of 2 bytes behind it. */
export function checksummed(): Uint8Array {
  const bytes = v2(0x21, 0x11, [...INET, 0x04, 0, 1, 7, 0x03, 0, 4, 0, 0, 0, 0, 0x05, 0, 2, 8, 9]);
  new DataView(bytes.buffer).setUint32(bytes.length - 9, crc32c(bytes));
  return bytes;
}
