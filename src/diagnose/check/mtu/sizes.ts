import { SIZE_MAX, SIZE_MIN, type Sized, type Told, UDP_HEADER } from "./look.ts";
import {
  fateOf,
  largestThatFits,
  largestWholeBack,
  largestWholeThere,
  lowestTold,
  type PathKind,
  type Stretch,
  stretchesOf,
} from "./stretches.ts";

/** MTUs that links and tunnels have, bytes: where to look first, so that little is left to be halved. */
const USUAL_MTUS = [576, 1280, 1400, 1420, 1440, 1450, 1460, 1476, 1480, 1492, 1500, 4352, 8950, 9000];
const LARGE_SIZES = [2000, 16_000, 32_000, SIZE_MAX];

/** Bytes round an edge that are looked at one by one: real paths lost payloads of 1,473 to 1,475 and nothing else. */
const BELOW_EDGE = 2;
const ABOVE_EDGE = 4;

/** Sizes asked at a time between two that fared differently. */
const CUTS = 4;

/**
 * The sizes to look at first.
 * @param interfaceMtu IP packet bytes; null where it is not known
 */
export function firstSizes(interfaceMtu: number | null, { headers }: PathKind): number[] {
  const usual = USUAL_MTUS.map((mtu) => mtu - headers);
  const edge = interfaceMtu === null ? [] : around(interfaceMtu - headers);
  return inRange([SIZE_MIN, ...usual, ...edge, ...LARGE_SIZES]);
}

/**
 * The sizes to look at next, by what is known: first between any two that fared differently, until they are
 * neighbours; then the bytes round every edge, and round the ends of fragments. None when there is nothing left to ask.
 */
export function nextSizes(known: ReadonlyMap<number, Sized>, kind: PathKind): number[] {
  const between = betweenDifferent(known, kind);
  if (between.length > 0) return between;
  const stretches = stretchesOf(known.values(), kind);
  const edges = stretches.slice(0, -1).flatMap(({ to }) => around(to));
  const ends = fragmentEnds(stretches, kind).filter((size) => isPassing(stretches, size));
  return inRange([...edges, ...ends]).filter((size) => !known.has(size));
}

function betweenDifferent(known: ReadonlyMap<number, Sized>, kind: PathKind): number[] {
  const told = lowestTold(known.values());
  const hints = told === null ? [] : [told.mtu - kind.headers, told.mtu - kind.headers + 1];
  const stretches = stretchesOf(known.values(), kind);
  return stretches.slice(1).flatMap(({ from }, at) => {
    const { to } = stretches[at]!;
    const inside = hints.filter((size) => size > to && size < from);
    return inside.length > 0 ? inside : cutsBetween(to, from);
  });
}

/** Sizes that part the gap evenly; all of it where it is small. */
function cutsBetween(low: number, high: number): number[] {
  const gap = high - low;
  const cuts = Math.min(CUTS, gap - 1);
  return Array.from({ length: cuts }, (_, at) => low + Math.round(((at + 1) * gap) / (cuts + 1)));
}

/** -2 .. +4 of a payload that is the last one to fit something. */
function around(edge: number): number[] {
  return Array.from({ length: BELOW_EDGE + ABOVE_EDGE + 1 }, (_, at) => edge - BELOW_EDGE + at);
}

/** Round the payloads whose last fragment is full: the next byte makes one fragment more, with one byte in it. */
function fragmentEnds(stretches: readonly Stretch[], { headers, ipv6 }: PathKind): number[] {
  const edges = [largestThatFits(stretches), largestWholeThere(stretches), largestWholeBack(stretches)];
  return [...new Set(edges)].flatMap((edge) => {
    const data = fragmentData(edge + headers, ipv6);
    if (edge < SIZE_MIN || edge >= SIZE_MAX) return [];
    const last = Math.floor((SIZE_MAX + UDP_HEADER) / data);
    return [2, 3, last].flatMap((fragments) => around(fragments * data - UDP_HEADER));
  });
}

/** Bytes of a datagram, UDP header included, in a full fragment: in eights (RFC 791, 3.2; RFC 8200, 4.5). */
export function fragmentData(mtu: number, ipv6: boolean): number {
  return Math.floor((mtu - fragmentHeaders(ipv6)) / 8) * 8;
}

/** IP packet bytes of a full fragment. */
export function largestFragmentOf(mtu: number, ipv6: boolean): number {
  return fragmentData(mtu, ipv6) + fragmentHeaders(ipv6);
}

/** IPv6 has a header more, of 8 bytes, for what is a fragment. */
function fragmentHeaders(ipv6: boolean): number {
  return ipv6 ? 48 : 20;
}

/** Whether a size lies between two that pass and fare alike, so that only a hole could be there. */
function isPassing(stretches: readonly Stretch[], size: number): boolean {
  const stretch = stretches.find(({ from, to }) => from <= size && size <= to);
  return stretch !== undefined && stretch.arrived === true && stretch.back !== "lost";
}

/** Whether a size was lost, on any way and by any means. */
export function isLost(sized: Sized, told: Told | null, kind: PathKind): boolean {
  const { there, arrived, back } = fateOf(sized, told, kind);
  return there === "lost" || there === "either" || arrived !== true || back === "lost";
}

function inRange(sizes: readonly number[]): number[] {
  return [...new Set(sizes)].filter((size) => size >= SIZE_MIN && size <= SIZE_MAX).sort((a, b) => a - b);
}
