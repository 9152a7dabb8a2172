import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KeyedHash, PROBES_MAX, SEED_WORDS } from "../../src/state/hash.ts";

/** Hashes by a secret: under any, what a peer can choose of its address and port spreads as if by chance. */

type Key = readonly [a0: number, a1: number, a2: number, a3: number, last: number];

const KEYS = 65_536;
const PLACES = 2 * KEYS;
const MAPPED = 0xffff;

/** As `crypto` makes them: evenly spread, where a generator of edge cases would like small ones. */
const seeds = fc.noBias(fc.int32Array({ minLength: SEED_WORDS, maxLength: SEED_WORDS }));

/** The longest run that any key of a table at half load needs, by linear probing. */
function longestProbe(seed: Int32Array, key: (at: number) => Key): number {
  const hash = new KeyedHash(seed);
  const taken = new Uint8Array(PLACES);
  let longest = 0;
  for (let at = 0; at < KEYS; at++) {
    let place = hash.of(...key(at)) & (PLACES - 1);
    let probes = 1;
    for (; taken[place] === 1; probes++) place = (place + 1) & (PLACES - 1);
    taken[place] = 1;
    longest = Math.max(longest, probes);
  }
  return longest;
}

/** What one machine, network or forger has at hand: 65,536 keys each. */
const SWEEPS: Readonly<Record<string, (at: number) => Key>> = {
  "the /64s of an IPv6 /48": (at) => [0x20010db8, 0x10000 | at, 0, 1, 5000],
  "a /48, third word made to cancel the second": (at) => [
    0x20010db8,
    0x10000 | at,
    (0x10000 | at) << 7,
    1,
    5000,
  ],
  "two words that cancel each other": (at) => [at, 5, at ^ 0x1234, 9, 0],
  "the hosts of an IPv6 /64": (at) => [0x20010db8, 1, 0, at, 5000],
  "the hosts of an IPv4 /16": (at) => [0, 0, MAPPED, 0x0a000000 | at, 5000],
  "the /16s of IPv4": (at) => [0, 0, MAPPED, (at << 16) | 1, 5000],
  "the ports of one client": (at) => [0, 0, MAPPED, 0x0a000001, at],
  "ports of many clients": (at) => [0, 0, MAPPED, 0x0a000000 | (at >> 8), 32_768 + (at & 255)],
  "the local addresses of one client": (at) => [0, 0, MAPPED, 0x0a000001, 5000 | (at << 16)],
  "the top bits of all words": (at) => [at << 28, (at >> 4) << 28, (at >> 8) << 28, (at >> 12) << 28, 5000],
};

describe("spread under any secret:", () => {
  for (const [name, key] of Object.entries(SWEEPS)) {
    test(name, () => {
      fc.assert(
        fc.property(fc.noShrink(seeds), (seed) => {
          expect(longestProbe(seed, key)).toBeLessThan(PROBES_MAX);
        }),
        { numRuns: 12, seed: 1 },
      );
    });
  }
});

test("every word of the key and every word of the secret counts", () => {
  fc.assert(
    fc.property(seeds, fc.nat(SEED_WORDS - 1), fc.nat(4), (seed, secretAt, keyAt) => {
      const key: [number, number, number, number, number] = [1, 2, 3, 4, 5];
      const hash = new KeyedHash(seed).of(...key);
      const other = seed.with(secretAt, seed[secretAt]! ^ 0x5a5a5a5a);
      expect(new KeyedHash(other).of(...key)).not.toBe(hash);
      key[keyAt]! += 1000;
      expect(new KeyedHash(seed).of(...key)).not.toBe(hash);
    }),
    { seed: 1 },
  );
});
