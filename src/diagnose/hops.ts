/** What systems begin a packet's TTL or hop limit with: Linux and macOS, Windows, routers. */
const FIRST_TTLS = [64, 128, 255];

/** Routers that a packet has passed at least, by the TTL or hop limit that it came with, 1 to 255. */
export function hopsOf(ttl: number): number {
  return FIRST_TTLS.find((first) => first >= ttl)! - ttl;
}
