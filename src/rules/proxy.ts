import { type Address, MAPPED, parseAddress } from "./address.ts";
import { crc32c } from "./crc32c.ts";

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

const V1_SIGNATURE = bytesOf("PROXY ");
const V1_LENGTH_MAX = 107; // section 2.1: the longest line, CRLF included
const V2_SIGNATURE = new Uint8Array([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_FIXED_LENGTH = 16;
const CR = 13;
const LF = 10;

const MORE: ProxyVerdict = { kind: "more" };
const PLAIN: ProxyVerdict = { kind: "plain" };

/** What the first `length` of `bytes` are. Never throws, never reads beyond them. */
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
  if (length < V2_FIXED_LENGTH) return length > 12 ? (checkCommand(bytes[12]!) ?? MORE) : MORE;
  const wrongCommand = checkCommand(bytes[12]!);
  if (wrongCommand !== null) return wrongCommand;
  const family = bytes[13]! >>> 4;
  const transport = bytes[13]! & 15;
  if (family > 3) return malformed(`address family ${family} is reserved`);
  if (transport > 2) return malformed(`transport ${transport} is reserved`);
  const total = V2_FIXED_LENGTH + ((bytes[14]! << 8) | bytes[15]!);
  if (total > PROXY_HEADER_MAX) return malformed(`a header of ${total} bytes, above ${PROXY_HEADER_MAX}`);
  if (length < total) return MORE;
  // LOCAL: the proxy itself, a health check say; whatever it holds besides must be ignored.
  if ((bytes[12]! & 15) === 0) return { kind: "header", version: 2, length: total, source: null };
  return parseV2Addresses(bytes.subarray(0, total), family, transport);
}

/** Version and command, or null where both are fine. */
function checkCommand(byte: number): ProxyVerdict | null {
  if (byte >>> 4 !== 2) return malformed(`version ${byte >>> 4} behind the signature of version 2`);
  return (byte & 15) > 1 ? malformed(`command ${byte & 15} is not LOCAL or PROXY`) : null;
}

/** Bytes of both ends, by address family: UNSPEC, INET, INET6, UNIX. */
const ADDRESS_BYTES = [0, 12, 36, 216];
const STREAM = 1;
const INET = 1;
const INET6 = 2;

function parseV2Addresses(header: Uint8Array, family: number, transport: number): ProxyVerdict {
  const addressesEnd = V2_FIXED_LENGTH + ADDRESS_BYTES[family]!;
  if (header.length < addressesEnd) return malformed("shorter than the addresses of its family");
  // What an UNSPEC header holds is of no known form, so it has no TLVs to be checked.
  const wrong = family === 0 ? null : checkTlvs(header, addressesEnd);
  if (wrong !== null) return malformed(wrong);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  let source: ProxySource | null = null;
  if (family === INET && transport === STREAM) {
    source = { a0: 0, a1: 0, a2: MAPPED, a3: view.getInt32(16), port: view.getUint16(24) };
  } else if (family === INET6 && transport === STREAM) {
    const [a0, a1, a2, a3] = [16, 20, 24, 28].map((at) => view.getInt32(at)) as [
      number,
      number,
      number,
      number,
    ];
    source = { a0, a1, a2, a3, port: view.getUint16(48) };
  }
  return { kind: "header", version: 2, length: header.length, source };
}

const TLV_CRC32C = 0x03;

/** Section 2.2.x: each TLV is a type, a length of two bytes and its value. What is wrong with them, or null. */
function checkTlvs(header: Uint8Array, start: number): string | null {
  let at = start;
  while (at < header.length) {
    if (at + 3 > header.length) return "a TLV is cut off";
    const length = (header[at + 1]! << 8) | header[at + 2]!;
    if (at + 3 + length > header.length) return "a TLV is longer than the header";
    if (header[at] === TLV_CRC32C && (length !== 4 || !checksumFits(header, at + 3)))
      return "the checksum is wrong";
    at += 3 + length;
  }
  return null;
}

/** The CRC32c of the whole header, its own field taken as zero. */
function checksumFits(header: Uint8Array, at: number): boolean {
  const zeroed = header.slice();
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed) === new DataView(header.buffer, header.byteOffset).getUint32(at);
}

function malformed(why: string): ProxyVerdict {
  return { kind: "malformed", why };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
