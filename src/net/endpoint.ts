import { type Address, formatAddress, isIPv4, parseAddress, sameAddress } from "./address.ts";

/** One end of a TCP session or of a UDP flow. */
export interface Endpoint {
  readonly address: Address;
  /** 0 to 65535; 0 is "any free one" where a socket is bound, and nobody's where something came from. */
  readonly port: number;
  /** The interface of a link-local IPv6 address, by name or by number (RFC 4007, 11): `eth0`, `2`. */
  readonly zone?: string;
}

/** Longest interface name: IFNAMSIZ of Linux and macOS, without its final zero. */
const ZONE = /^[^\s\p{Cc}%/:[\]]{1,15}$/u;
const PORT = /^(?:0|[1-9]\d{0,4})$/;
const PORT_MAX = 65_535;

/** `1.2.3.4:80`, `[fd00::1]:80`, `[fe80::1%eth0]:80`; IPv4-mapped addresses as IPv4. */
export function formatEndpoint(endpoint: Endpoint): string {
  const host = hostOf(endpoint);
  return isIPv4(endpoint.address) ? `${host}:${endpoint.port}` : `[${host}]:${endpoint.port}`;
}

/** The address alone as sockets and resolvers take it: `1.2.3.4`, `fd00::1`, `fe80::1%eth0`. */
export function hostOf({ address, zone }: Endpoint): string {
  const text = formatAddress(address);
  return zone === undefined ? text : `${text}%${zone}`;
}

/**
 * Reads what `formatEndpoint` writes, and other spellings of the same IPv6 address. Strict: an IPv6 address stands in
 * brackets, an IPv4 address does not, a port has no sign and no leading zero. Null for anything else.
 */
export function parseEndpoint(text: string): Endpoint | null {
  const colon = text.lastIndexOf(":");
  if (colon === -1) return null;
  const host = text.slice(0, colon);
  const bracketed = host.startsWith("[") && host.endsWith("]");
  if (bracketed !== host.includes(":")) return null;
  return parseHostAndPort(bracketed ? host.slice(1, -1) : host, text.slice(colon + 1));
}

/**
 * Reads an address without brackets, `fe80::1%eth0` too, and gives it a port: what a socket says of an end.
 * Null where `host` is no address. Throws nothing.
 */
export function endpointOf(host: string, port: number): Endpoint | null {
  return parseHostAndPort(host, String(port));
}

/** Whether both are the same end. A zone written as a name differs from the same zone written as a number. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.zone === b.zone && sameAddress(a.address, b.address);
}

/** Whether both are the same address and port; of the zones nothing is asked, since each system calls its links as it likes. */
export function sameAddressAndPort(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && sameAddress(a.address, b.address);
}

/** An end of this machine, from which it goes to `target`: in the target's zone, where its address needs one. */
export function ownEndTo({ zone }: Endpoint, address: Address, port: number): Endpoint {
  return zone !== undefined && isLinkLocal(address) ? { address, port, zone } : { address, port };
}

/** Whether an address is valid on one link only (`fe80::/10`), so that a socket needs its zone. */
export function isLinkLocal({ a0 }: Address): boolean {
  return (a0 & 0xffc00000) === (0xfe800000 | 0);
}

function parseHostAndPort(host: string, digits: string): Endpoint | null {
  const port = PORT.test(digits) ? Number(digits) : PORT_MAX + 1;
  const percent = host.indexOf("%");
  const address = parseAddress(percent === -1 ? host : host.slice(0, percent));
  if (port > PORT_MAX || address === null) return null;
  if (percent === -1) return { address, port };
  const zone = host.slice(percent + 1);
  return isLinkLocal(address) && ZONE.test(zone) ? { address, port, zone } : null;
}
