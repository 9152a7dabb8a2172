import { printable, UsageError } from "../errors.ts";
import { type Address, isIPv4, parseAddress } from "../net/address.ts";
import { type Endpoint, endpointOf, isLinkLocal } from "../net/endpoint.ts";
import type { Protocol } from "./result.ts";

/** An IP version: what `-4` and `-6` choose. */
export type Family = 4 | 6;

/** Where an echo server listens if nobody said otherwise. */
export const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = { tcp: 1234, udp: 5678 };

/** What a person asked to be checked. Plain data. */
export interface Target {
  /** As it was written: `udp://echo-server`. */
  readonly text: string;
  /** In the order in which they are told of. */
  readonly protocols: readonly Protocol[];
  /** A name, or an address without brackets; as it was written. */
  readonly host: string;
  /** Where `host` is an address; null where it is a name, which is to be resolved. Its port means nothing. */
  readonly address: Endpoint | null;
  /** Null: each protocol's own (`DEFAULT_PORTS`). */
  readonly port: number | null;
}

const ALLOWED = "HOST, HOST:PORT, tcp://HOST[:PORT] or udp://HOST[:PORT]; IPv6 with a port as [fd00::1]:1234";
const PORT = /^[1-9]\d{0,4}$/;
const PORT_MAX = 65_535;

/** RFC 1123, 2.1, with the underscores that names in private zones have. */
const LABEL = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/i;
/** RFC 1035, 2.3.4, without the final dot. */
const NAME_MAX = 253;
/** getaddrinfo takes a name that ends so for an address: `10.1` is 10.0.0.1, `0x7f.1` is 127.0.0.1. */
const NUMBER = /^(?:\d+|0x[\da-f]*)$/i;

/**
 * Reads one target: `HOST` and `HOST:PORT` (both protocols), `tcp://HOST[:PORT]`, `udp://HOST[:PORT]`, `fd00::1`,
 * `[fd00::1]:1234`, `fe80::1%eth0`, `[fe80::1%eth0]:1234`.
 * @throws UsageError in one line that says what is wrong and what is allowed
 */
export function parseTarget(text: string): Target {
  const scheme = /^([^:/]*):\/\//.exec(text);
  if (scheme !== null && !isProtocol(scheme[1]!)) throw wrong(text, `${scheme[0]} is not one of its forms`);
  const protocols: readonly Protocol[] = scheme === null ? ["tcp", "udp"] : [scheme[1] as Protocol];
  const { host, digits } = split(text, scheme === null ? text : text.slice(scheme[0].length));
  const address = host.includes(":") ? ipv6Of(text, host) : ipv4OrNameOf(text, host);
  return { text, protocols, host, address, port: digits === null ? null : portOf(text, digits) };
}

/** The end that a target means by one of its protocols, once its address is known. */
export function endpointFor(target: Target, address: Endpoint, protocol: Protocol): Endpoint {
  return { ...address, port: target.port ?? DEFAULT_PORTS[protocol] };
}

/** The IP version of an address; an IPv4-mapped one is IPv4. */
export function familyOf(address: Address): Family {
  return isIPv4(address) ? 4 : 6;
}

/** @throws UsageError where a target is an address of the other version than the one asked for */
export function refuseOtherFamily(targets: readonly Target[], family: Family | null): void {
  if (family === null) return;
  for (const { text, address } of targets) {
    if (address === null || familyOf(address.address) === family) continue;
    throw wrong(
      text,
      `it is IPv${familyOf(address.address)}, and IPv${family} was asked for`,
      "a name, or without that",
    );
  }
}

function isProtocol(word: string): word is Protocol {
  return word === "tcp" || word === "udp";
}

/** Host and port, as they stand there. An IPv6 address without brackets has no port: its colons are its own. */
function split(text: string, rest: string): { host: string; digits: string | null } {
  if (rest.startsWith("[")) {
    const [, host, , digits] = /^\[([^[\]]*)\](:(.*))?$/.exec(rest) ?? [];
    if (host === undefined) throw wrong(text, "a bracket is out of place");
    if (!host.includes(":")) throw wrong(text, "brackets are for IPv6 addresses");
    return { host, digits: digits ?? null };
  }
  const [host, digits, ...more] = rest.split(":");
  if (more.length > 0) return { host: rest, digits: null };
  return { host: host!, digits: digits ?? null };
}

function portOf(text: string, digits: string): number {
  const port = PORT.test(digits) ? Number(digits) : 0;
  if (port >= 1 && port <= PORT_MAX) return port;
  throw wrong(text, `${JSON.stringify(digits)} is no port`, "a port from 1 to 65535");
}

function ipv6Of(text: string, host: string): Endpoint {
  const bare = parseAddress(host);
  if (bare === null) throw wrong(text, "its host is no IPv6 address");
  const end = endpointOf(host, 0);
  const zoned = host.includes("%");
  if (zoned && !isLinkLocal(bare)) throw wrong(text, "a zone is for link-local addresses (fe80::/10)");
  if (end === null) throw wrong(text, "its zone is no name of an interface", "a zone such as %eth0");
  if (!zoned && isLinkLocal(bare)) throw wrong(text, "a link-local address needs its zone", `${host}%eth0`);
  return one(text, end);
}

/** @returns null for a name */
function ipv4OrNameOf(text: string, host: string): Endpoint | null {
  const address = endpointOf(host, 0);
  if (address !== null) return one(text, address);
  const labels = (host.endsWith(".") ? host.slice(0, -1) : host).split(".");
  if (host === "") throw wrong(text, "it has no host");
  if (NUMBER.test(labels.at(-1)!))
    throw wrong(text, "its host is no IPv4 address", "four numbers from 0 to 255");
  const isName = labels.every((label) => LABEL.test(label)) && labels.join(".").length <= NAME_MAX;
  if (!isName) throw wrong(text, "it is no host's name");
  return null;
}

/** An address that is one machine's. */
function one(text: string, end: Endpoint): Endpoint {
  const { a0, a1, a2, a3 } = end.address;
  const ipv4 = isIPv4(end.address);
  const unspecified = ipv4 ? a3 === 0 : (a0 | a1 | a2 | a3) === 0;
  if (unspecified)
    throw wrong(text, "a server may listen on it, but nobody is there", "a machine's own address");
  const first = ipv4 ? a3 >>> 24 : a0 >>> 24;
  const many = ipv4 ? first >= 224 : first === 0xff; // RFC 5771, RFC 1112 (class E, and broadcast); RFC 4291, 2.7
  if (many) throw wrong(text, "it is no single machine's", "a machine's own address");
  return end;
}

function wrong(text: string, why: string, allowed = ALLOWED): UsageError {
  return new UsageError(
    `target ${printable(JSON.stringify(text))} is not allowed: ${printable(why)}; allowed: ${allowed}`,
  );
}
