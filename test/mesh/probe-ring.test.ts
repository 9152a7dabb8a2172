import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { peersOf, phaseOf, ringOf } from "../../src/diagnose/mesh/ring.ts";

/** A fleet's addresses: all of one version, as a mesh has them. */
const ipv4 = fc.tuple(fc.constantFrom("10.244", "10.0", "200.1"), fc.nat(255), fc.nat(255));
const ipv6 = fc.tuple(fc.constantFrom("fd00", "fd00:0:0:8000", "2001:db8"), fc.nat(0xfffe));
const v4Members = fc.uniqueArray(
  ipv4.map(([net, a, b]) => `${net}.${a}.${b}`),
  { minLength: 2, maxLength: 60 },
);
const v6Members = fc.uniqueArray(
  ipv6.map(([net, host]) => `${net}::${(host + 1).toString(16)}`),
  { minLength: 2, maxLength: 60 },
);
const members = fc.oneof(v4Members, v6Members);
const degree = fc.integer({ min: 1, max: 70 });

function peersOfAll(all: readonly string[], wanted: number): Map<string, string[]> {
  return new Map(all.map((own) => [own, peersOf(all, own, wanted)]));
}

describe("on the ring", () => {
  test("each asks as many as it may, none twice and never itself, and is asked by as many", () => {
    fc.assert(
      fc.property(members, degree, (all, wanted) => {
        const asked = new Map(all.map((address) => [address, 0]));
        for (const [own, peers] of peersOfAll(all, wanted)) {
          expect(peers).toHaveLength(Math.min(wanted, all.length - 1));
          expect(new Set(peers).size).toBe(peers.length);
          expect(peers).not.toContain(own);
          for (const peer of peers) asked.set(peer, asked.get(peer)! + 1);
        }
        expect(new Set(asked.values())).toEqual(new Set([Math.min(wanted, all.length - 1)]));
      }),
    );
  });

  test("the order in which addresses come, and their spelling, change nothing", () => {
    const shuffled = members.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, degree, fc.integer({ min: 2, max: 70 }), ([all, mixed], wanted, max) => {
        const own = all[0]!;
        const spelt = mixed.map((address) => address.toUpperCase().replace("FD00::", "fd00:0::"));
        expect(peersOf(spelt, own, wanted)).toEqual(peersOf(all, own, wanted));
        expect(ringOf([...spelt, ...mixed], own, max)).toEqual(ringOf(all, own, max));
      }),
    );
  });

  test("one that comes or goes changes one peer at most, of those before it alone", () => {
    fc.assert(
      fc.property(members, degree, fc.nat(), (all, wanted, at) => {
        const gone = all[at % all.length]!;
        const rest = all.filter((address) => address !== gone);
        const before = peersOfAll(all, wanted);
        for (const [own, peers] of peersOfAll(rest, wanted)) {
          const had = before.get(own)!;
          if (!had.includes(gone)) expect(peers).toEqual(had);
          expect(had.filter((peer) => peer !== gone && !peers.includes(peer))).toEqual([]);
          expect(peers.filter((peer) => !had.includes(peer)).length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test("members stand by their number, not by their text", () => {
    const all = ["10.0.0.10", "10.0.0.9", "200.0.0.1", "9.0.0.1"];
    expect(ringOf(all, null, 10).addresses).toEqual(["9.0.0.1", "10.0.0.9", "10.0.0.10", "200.0.0.1"]);
    expect(peersOf(all, "10.0.0.10", 2)).toEqual(["200.0.0.1", "9.0.0.1"]);
    expect(peersOf(["fd00::10", "fd00::9", "fe00::1"], "fd00::9", 2)).toEqual(["fd00::10", "fe00::1"]);
  });

  test("who is in no name yet stands there all the same, and who does not know its place asks nobody", () => {
    expect(peersOf(["10.0.0.1", "10.0.0.3"], "10.0.0.2", 1)).toEqual(["10.0.0.3"]);
    expect(peersOf(["10.0.0.1", "10.0.0.3"], null, 1)).toEqual([]);
    expect(ringOf(["10.0.0.1", "10.0.0.3"], "10.0.0.2", 10).addresses).toEqual([
      "10.0.0.1",
      "10.0.0.2",
      "10.0.0.3",
    ]);
  });
});

describe("members beyond the limit", () => {
  const limit = fc.integer({ min: 1, max: 40 });

  test("are counted, and are the same to all that are within", () => {
    fc.assert(
      fc.property(members, limit, (all, max) => {
        const within = ringOf(all, null, max);
        expect(within.addresses.length + within.beyond).toBe(all.length);
        expect(within.addresses.length).toBe(Math.min(max, all.length));
        for (const own of within.addresses) expect(ringOf(all, own, max)).toEqual(within);
      }),
    );
  });

  test("do not leave out themselves, and know all the others but one", () => {
    fc.assert(
      fc.property(members, limit, (all, max) => {
        const { addresses } = ringOf(all, null, max);
        for (const own of all) {
          const ring = ringOf(all, own, max);
          expect(ring.addresses).toContain(own);
          expect(ring.addresses).toHaveLength(addresses.length);
          expect(ring.addresses.filter((each) => !addresses.includes(each)).length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test("come in for one that goes, and nobody else moves", () => {
    fc.assert(
      fc.property(members, limit, fc.nat(), (all, max, at) => {
        const gone = all[at % all.length]!;
        const before = ringOf(all, null, max).addresses;
        const { addresses } = ringOf(
          all.filter((each) => each !== gone),
          null,
          max,
        );
        expect(before.filter((each) => each !== gone && !addresses.includes(each))).toEqual([]);
        expect(addresses.filter((each) => !before.includes(each)).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("ask some of all, and not all the same", () => {
    const all = Array.from({ length: 1000 }, (_, at) => `10.0.${at >> 8}.${at & 255}`);
    const asked = new Map<string, number>();
    for (const own of all) {
      for (const peer of peersOf(ringOf(all, own, 100).addresses, own, 10)) {
        asked.set(peer, (asked.get(peer) ?? 0) + 1);
      }
    }
    // 100 a member, if all were asked alike; the first ten alone would have 900 and more.
    expect(Math.max(...asked.values())).toBeLessThan(400);
  });
});

describe("within an interval", () => {
  test("nobody asks two at once, and nobody is asked by two at once", () => {
    fc.assert(
      fc.property(members, degree, (all, wanted) => {
        const askers = new Map<string, number[]>();
        const slots = Math.min(wanted, all.length - 1) * 3;
        for (const [own, peers] of peersOfAll(all, wanted)) {
          const asked: number[] = [];
          for (const [place, peer] of peers.entries()) {
            for (let probe = 0; probe < 3; probe++) {
              const phase = phaseOf(own, place, peers.length, probe, 3);
              asked.push(phase);
              askers.set(peer, [...(askers.get(peer) ?? []), phase]);
            }
          }
          expect(apart(asked, slots)).toBe(true);
        }
        for (const phases of askers.values()) expect(apart(phases, slots)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  /** Whether each has a part of the interval of its own. */
  function apart(phases: readonly number[], slots: number): boolean {
    const taken = phases.map((phase) => Math.floor(phase * slots + 1e-9));
    return new Set(taken).size === slots && taken.every((slot) => slot >= 0 && slot < slots);
  }

  test("members do not all send at the same moment", () => {
    const moments = Array.from({ length: 50 }, (_, at) => phaseOf(`10.244.${at}.2`, 0, 10, 0, 3));
    expect(new Set(moments.map((moment) => Math.floor(moment * 3000))).size).toBeGreaterThan(30);
  });
});
