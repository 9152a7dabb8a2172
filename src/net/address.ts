/**
 * IP addresses as numbers. An address is the four big-endian 32-bit words of its 16 IPv6 bytes (signed, as an
 * Int32Array holds them); IPv4 is its IPv4-mapped form (RFC 4291, 2.5.5.2), so one shape serves both families.
 * Rules compare and hash words; text is made only for people.
 */
export interface Address {
  readonly a0: number;
  readonly a1: number;
  readonly a2: number;
  readonly a3: number;
}

/** Third word of every IPv4-mapped address: `::ffff:0:0/96`. */
export const MAPPED = 0xffff;

export function isIPv4(address: Address): boolean {
  return address.a0 === 0 && address.a1 === 0 && address.a2 === MAPPED;
}

/** The wildcard of an address's family: `0.0.0.0` or `::`. */
export function wildcardOf(address: Address): Address {
  return { a0: 0, a1: 0, a2: isIPv4(address) ? MAPPED : 0, a3: 0 };
}

/** Whether it can be one machine's: neither the wildcard (`0.0.0.0/8`, `::`) nor a group's, nor everybody's (RFC 6890). */
export function isUnicast(address: Address): boolean {
  const { a0, a1, a2, a3 } = address;
  if (!isIPv4(address)) return a0 >>> 24 !== 0xff && (a0 | a1 | a2 | a3) !== 0;
  const first = a3 >>> 24;
  return first !== 0 && !(first >= 224 && first < 240) && a3 >>> 0 !== 0xffffffff;
}

/** Whether it is this machine's alone (RFC 1122, RFC 4291). */
export function isLoopback(address: Address): boolean {
  const { a0, a1, a2, a3 } = address;
  return isIPv4(address) ? a3 >>> 24 === 127 : (a0 | a1 | a2) === 0 && a3 === 1;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.a3 === b.a3 && a.a2 === b.a2 && a.a1 === b.a1 && a.a0 === b.a0;
}

/** Parses an IP literal as inet_pton(3) would, a `%zone` being ignored; null when it is none. */
export function parseAddress(text: string): Address | null {
  if (!text.includes(":")) {
    const v4 = parseIPv4(text);
    return v4 === null ? null : { a0: 0, a1: 0, a2: MAPPED, a3: v4 };
  }
  const zone = text.indexOf("%");
  return parseIPv6(zone === -1 ? text : text.slice(0, zone));
}

function parseIPv4(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  let word = 0;
  for (let part = 1; part <= 4; part++) {
    const digits = match[part]!;
    const byte = Number(digits);
    if (byte > 255 || (digits.length > 1 && digits.startsWith("0"))) return null;
    word = (word << 8) | byte;
  }
  return word;
}

function parseIPv6(text: string): Address | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (at: number): number => (groups[at]! << 16) | groups[at + 1]!;
  return { a0: word(0), a1: word(2), a2: word(4), a3: word(6) };
}

/** The 16-bit groups of one side of `::`; `mayEndV4` allows a dotted quad as its last part. */
function parseGroups(text: string, mayEndV4: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [at, part] of parts.entries()) {
    if (mayEndV4 && at === parts.length - 1 && part.includes(".")) {
      const v4 = parseIPv4(part);
      if (v4 === null) return null;
      groups.push(v4 >>> 16, v4 & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}

/** The address as text: IPv4 (mapped too) dotted, IPv6 as RFC 5952 wants it, without brackets. */
export function formatAddress(address: Address): string {
  const { a0, a1, a2, a3 } = address;
  if (isIPv4(address)) return `${a3 >>> 24}.${(a3 >>> 16) & 255}.${(a3 >>> 8) & 255}.${a3 & 255}`;
  const groups = [a0, a1, a2, a3].flatMap((word) => [word >>> 16, word & 0xffff]);
  let best = 0; // start and length of the longest run of two or more zero groups, the first of equals
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) {
      best = start;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestLength < 2) return hex.join(":");
  return `${hex.slice(0, best).join(":")}::${hex.slice(best + bestLength).join(":")}`;
}

/** A CIDR block: the words of its network and of its mask. */
export interface Cidr {
  readonly network: Address;
  readonly mask: Address;
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a bare address; null when it is none, or has bits set after the prefix length. */
export function parseCidr(text: string): Cidr | null {
  const [literal, length, ...rest] = text.split("/");
  const network = parseAddress(literal!);
  if (network === null || rest.length > 0 || text.includes("%")) return null;
  const bits = literal!.includes(":") ? 128 : 32;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return null;
  const mask = prefixMask(prefix + 128 - bits);
  const inside = (word: number, maskWord: number): boolean => (word & ~maskWord) === 0;
  const exact =
    inside(network.a0, mask.a0) &&
    inside(network.a1, mask.a1) &&
    inside(network.a2, mask.a2) &&
    inside(network.a3, mask.a3);
  return exact ? { network, mask } : null;
}

function prefixMask(length: number): Address {
  const word = (index: number): number => {
    const ones = Math.min(32, Math.max(0, length - index * 32));
    return ones === 0 ? 0 : (-1 << (32 - ones)) | 0;
  };
  return { a0: word(0), a1: word(1), a2: word(2), a3: word(3) };
}

/** Whether the address lies in the block. */
export function inCidr(cidr: Cidr, { a0, a1, a2, a3 }: Address): boolean {
  const { network, mask } = cidr;
  return (
    (a0 & mask.a0) === network.a0 &&
    (a1 & mask.a1) === network.a1 &&
    (a2 & mask.a2) === network.a2 &&
    (a3 & mask.a3) === network.a3
  );
}
