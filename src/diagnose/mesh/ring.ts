import { type Address, formatAddress, parseAddress, sameAddress } from "../../net/address.ts";

/** Who asks whom: a ring of all members by their address's number, on which each asks those that follow it. Pure. */

/** Members that take part, and how many are left out. */
export interface Ring {
  /** By number, each once, written in one way. */
  readonly addresses: readonly string[];
  readonly beyond: number;
}

/**
 * The ring of those addresses, `max` of them at most. Who is left out is the same wherever it is worked out, but that
 * nobody leaves out itself; it is chosen by a hash, so that those left out, who ask all the same, do not all ask the same
 * few, and one that comes or goes moves one other at most.
 * @param own this member's, which belongs to the ring though no name has it yet; null while it is not known
 */
export function ringOf(addresses: readonly string[], own: string | null, max: number): Ring {
  const all = sorted(own === null ? addresses : [...addresses, own]);
  if (all.length <= max) return { addresses: all.map(formatAddress), beyond: 0 };
  const ownAddress = own === null ? null : parseAddress(own);
  const isOwn = (address: Address): boolean => ownAddress !== null && sameAddress(address, ownAddress);
  const rank = (address: Address): number => (isOwn(address) ? -1 : hashOf(address));
  const ranked = all.map((address) => ({ address, rank: rank(address) })).sort((a, b) => a.rank - b.rank);
  const kept = new Set(ranked.slice(0, max).map(({ address }) => address));
  return {
    addresses: all.filter((address) => kept.has(address)).map(formatAddress),
    beyond: all.length - max,
  };
}

/**
 * Whom a member asks: the `degree` that follow it on the ring, the next one first. So each is asked by as many as it asks,
 * and one that comes or goes changes one peer of the `degree` before it, and none of anybody else's.
 * @param addresses of all members, in any order
 * @param own null: whoever does not know its place asks nobody
 */
export function peersOf(addresses: readonly string[], own: string | null, degree: number): string[] {
  if (own === null) return [];
  const ownAddress = parseAddress(own);
  if (ownAddress === null) return [];
  const ring = sorted([...addresses, own]);
  const at = ring.findIndex((address) => sameAddress(address, ownAddress));
  const following = [...ring.slice(at + 1), ...ring.slice(0, at)];
  return following.slice(0, degree).map(formatAddress);
}

/**
 * When in each interval a member asks one of its peers by one of its probes, as a share of the interval from 0 to 1. All
 * members count intervals by the same clock (`startOf`). Each probe has its part of the interval, each place on the ring
 * its part of that, and each member its own moment there. So neither the asker nor who is asked has two at once, and all
 * members together do not send at the same moment.
 * @param place of the peer in `peersOf`, from 0; two members have the same peer at different places
 * @param peers how many there are
 * @param probe which of `probes` it is, from 0
 */
export function phaseOf(own: string, place: number, peers: number, probe: number, probes: number): number {
  const address = parseAddress(own);
  const moment = address === null ? 0 : hashOf(address) / TWO_32;
  return (probe + (place + moment) / peers) / probes;
}

const TWO_32 = 2 ** 32;

/** Each once, by number: IPv4 before IPv6. What is no address is left out. */
function sorted(texts: readonly string[]): Address[] {
  const all = texts
    .map(parseAddress)
    .filter((address) => address !== null)
    .sort(byNumber);
  return all.filter((address, at) => at === 0 || !sameAddress(address, all[at - 1]!));
}

function byNumber(a: Address, b: Address): number {
  const words = (address: Address): number[] => {
    const { a0, a1, a2, a3 } = address;
    return [a0, a1, a2, a3];
  };
  const [first, second] = [words(a), words(b)];
  const at = first.findIndex((word, index) => word !== second[index]);
  return at === -1 ? 0 : (first[at]! >>> 0) - (second[at]! >>> 0);
}

/** 32 bits that depend on every bit of an address (MurmurHash3's mixing, Appleby 2011), the same on every machine. */
function hashOf({ a0, a1, a2, a3 }: Address): number {
  let hash = 0x9e3779b9;
  for (const word of [a0, a1, a2, a3]) {
    hash = Math.imul(hash ^ word, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}
