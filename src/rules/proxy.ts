import { type Address, MAPPED, parseAddress } from "../net/address.ts";
import { crc32c } from "../net/crc32c.ts";
import { V1_SIGNATURE, V2_SIGNATURE } from "../net/proxy-header.ts";

/**
 * The PROXY protocol (HAProxy, doc/proxy-protocol.txt, revision of 2020/03/05), versions 1 and 2, parsed as bytes
 * arrive. Sections named below are of that text.
 */

/** The longest header that is taken, in bytes. Version 1 has 107 at most; a version 2 header above this is malformed. */
export const PROXY_HEADER_MAX = 4096;

/** Where a proxied connection came from: the address words and the port. */
export interface ProxySource extends Address {
  readonly port: number;
}

export type ProxyVerdict =
  /** A prefix of a header: wait for more. */
  | { readonly kind: "more" }
  /** No PROXY signature: plain data. */
  | { readonly kind: "plain" }
  /**
   * A header of `length` bytes; what follows belongs to the stream. `source` is null where the header names nobody
   * (LOCAL, UNKNOWN, UNSPEC) or nobody with ip:port (UNIX, datagrams): the connection's own ends count then.
   */
  | {
      readonly kind: "header";
      readonly version: 1 | 2;
      readonly length: number;
      readonly source: ProxySource | null;
    }
  /** A signature, and then something that is no header. */
  | { readonly kind: "malformed"; readonly why: string };

const V1_LENGTH_MAX = 107; // section 2.1: the longest line, CRLF included
const V2_FIXED_LENGTH = 16;
const CR = 13;
const LF = 10;

const MORE: ProxyVerdict = { kind: "more" };
const PLAIN: ProxyVerdict = { kind: "plain" };

/**
 * What the first `length` of `bytes` are; said as soon as it is certain, and then true whatever follows.
 * Never throws, never reads beyond them, never changes them.
 */
export function parseProxyHeader(bytes: Uint8Array, length: number): ProxyVerdict {
  const v1 = signatureLength(V1_SIGNATURE, bytes, length);
  if (v1 === V1_SIGNATURE.length) return parseV1(bytes, length);
  const v2 = signatureLength(V2_SIGNATURE, bytes, length);
  if (v2 === V2_SIGNATURE.length) return parseV2(bytes, length);
  return v1 === length || v2 === length ? MORE : PLAIN;
}

/** Whether a whole signature has come: what follows it can then no longer be plain data. */
export function hasFullSignature(bytes: Uint8Array, length: number): boolean {
  return (
    signatureLength(V1_SIGNATURE, bytes, length) === V1_SIGNATURE.length ||
    signatureLength(V2_SIGNATURE, bytes, length) === V2_SIGNATURE.length
  );
}

/** How many bytes of the signature the data begins with. */
function signatureLength(signature: Uint8Array, bytes: Uint8Array, length: number): number {
  let at = 0;
  while (at < signature.length && at < length && bytes[at] === signature[at]) at++;
  return at;
}

/** Version 1, section 2.1: one line of text, which CRLF ends. */
function parseV1(bytes: Uint8Array, length: number): ProxyVerdict {
  const end = Math.min(length, V1_LENGTH_MAX);
  let at = V1_SIGNATURE.length;
  while (at < end && bytes[at] !== LF && bytes[at] !== CR) at++;
  if (at === V1_LENGTH_MAX) return malformed("no line end within 107 bytes");
  if (at === length) return MORE;
  if (bytes[at] === LF) return malformed("a line feed without its carriage return");
  if (at + 1 === V1_LENGTH_MAX) return malformed("no line end within 107 bytes");
  if (at + 1 === length) return MORE;
  if (bytes[at + 1] !== LF) return malformed("a carriage return without its line feed");
  const line = String.fromCharCode(...bytes.subarray(V1_SIGNATURE.length, at));
  return parseV1Line(line, at + 2);
}

function parseV1Line(line: string, length: number): ProxyVerdict {
  // The receiver must ignore anything presented before the CRLF of UNKNOWN.
  if (line === "UNKNOWN" || line.startsWith("UNKNOWN "))
    return { kind: "header", version: 1, length, source: null };
  const [family, sourceText, targetText, sourcePort, targetPort, ...rest] = line.split(" ");
  if (family !== "TCP4" && family !== "TCP6") return malformed("the family is not TCP4, TCP6 or UNKNOWN");
  if (targetPort === undefined || rest.length > 0) return malformed("not four fields behind the family");
  const source = parseV1Address(family, sourceText!);
  if (source === null || parseV1Address(family, targetText!) === null)
    return malformed(`no ${family} address`);
  const port = parsePort(sourcePort!);
  if (port === null || parsePort(targetPort) === null) return malformed("no port from 0 to 65535");
  return { kind: "header", version: 1, length, source: { ...source, port } };
}

function parseV1Address(family: "TCP4" | "TCP6", text: string): Address | null {
  const six = text.includes(":");
  return six === (family === "TCP6") && !text.includes("%") ? parseAddress(text) : null;
}

/** Decimal without leading zeros. */
function parsePort(text: string): number | null {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return null;
  const port = Number(text);
  return port <= 65535 ? port : null;
}

/** Version 2, section 2.2: a fixed part of 16 bytes, the addresses, then TLVs. */
function parseV2(bytes: Uint8Array, length: number): ProxyVerdict {
  const command = length > V2_SIGNATURE.length ? checkCommand(bytes[12]!) : null;
  if (command !== null) return malformed(command);
  if (length < V2_FIXED_LENGTH) return MORE;
  const total = V2_FIXED_LENGTH + ((bytes[14]! << 8) | bytes[15]!);
  if (total > PROXY_HEADER_MAX) return malformed(`a header of ${total} bytes, above ${PROXY_HEADER_MAX}`);
  // LOCAL: the proxy itself, a health check say; whatever it holds, its family too, must be ignored.
  const local = (bytes[12]! & 15) === LOCAL;
  const family = local ? null : checkFamily(bytes[13]!, total);
  if (family !== null) return malformed(family);
  if (length < total) return MORE;
  if (local) return { kind: "header", version: 2, length: total, source: null };
  return parseV2Addresses(bytes.subarray(0, total), bytes[13]!);
}

const LOCAL = 0;
const PROXY = 1;

/** What is wrong with version and command, or null. */
function checkCommand(byte: number): string | null {
  if (byte >>> 4 !== 2) return `version ${byte >>> 4} behind the signature of version 2`;
  return (byte & 15) > PROXY ? `command ${byte & 15} is not LOCAL or PROXY` : null;
}

/** Bytes of both ends, by address family: UNSPEC, INET, INET6, UNIX. */
const ADDRESS_BYTES = [0, 12, 36, 216];
const TRANSPORT_MAX = 2; // UNSPEC, STREAM, DGRAM

/** What is wrong with address family and transport in a header of `total` bytes, or null. */
function checkFamily(byte: number, total: number): string | null {
  const addressBytes = ADDRESS_BYTES[byte >>> 4];
  if (addressBytes === undefined) return `address family ${byte >>> 4} is reserved`;
  if ((byte & 15) > TRANSPORT_MAX) return `transport ${byte & 15} is reserved`;
  return total < V2_FIXED_LENGTH + addressBytes ? "shorter than the addresses of its family" : null;
}

const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

function parseV2Addresses(header: Uint8Array, familyTransport: number): ProxyVerdict {
  const family = familyTransport >>> 4;
  // What an UNSPEC header holds is of no known form, so it has no TLVs to be checked.
  const wrong = family === 0 ? null : checkTlvs(header, V2_FIXED_LENGTH + ADDRESS_BYTES[family]!);
  if (wrong !== null) return malformed(wrong);
  return { kind: "header", version: 2, length: header.length, source: v2Source(header, familyTransport) };
}

function v2Source(header: Uint8Array, familyTransport: number): ProxySource | null {
  const view = viewOf(header);
  const word = (at: number): number => view.getInt32(V2_FIXED_LENGTH + at);
  if (familyTransport === TCP_OVER_IPV4) {
    return { a0: 0, a1: 0, a2: MAPPED, a3: word(0), port: view.getUint16(24) };
  }
  if (familyTransport === TCP_OVER_IPV6) {
    return { a0: word(0), a1: word(4), a2: word(8), a3: word(12), port: view.getUint16(48) };
  }
  return null;
}

const TLV_CRC32C = 0x03;

/** Section 2.2: each TLV is a type, a length of two bytes and its value. What is wrong with them, or null. */
function checkTlvs(header: Uint8Array, start: number): string | null {
  let checksumAt = 0;
  for (let at = start; at < header.length; ) {
    if (at + 3 > header.length) return "a TLV is cut off";
    const length = (header[at + 1]! << 8) | header[at + 2]!;
    const value = at + 3;
    if (value + length > header.length) return "a TLV is longer than the header";
    if (header[at] === TLV_CRC32C) {
      if (length !== 4) return "a checksum is not of 4 bytes";
      // Section 2.2.3 knows one; each more would have the whole header computed again.
      if (checksumAt > 0) return "a second checksum";
      checksumAt = value;
    }
    at = value + length;
  }
  return checksumAt > 0 && !checksumFits(header, checksumAt) ? "the checksum is wrong" : null;
}

/** Section 2.2.3: the CRC32c of the whole header, its own field taken as zero. */
function checksumFits(header: Uint8Array, at: number): boolean {
  const zeroed = new Uint8Array(header); // never `slice`: a Buffer's is no copy
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed) === viewOf(header).getUint32(at);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function malformed(why: string): ProxyVerdict {
  return { kind: "malformed", why };
}
