import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Found, find, fragmentOf, headersOf, type ModelPath, WELL } from "./paths.ts";

/** The search for sizes that pass, held against paths of which all is known. */

const SIZE_MAX = 65_507;

/** What a path is, worked out by hand from what it is made of. */
class Truth {
  readonly #path: ModelPath;
  readonly #headers: number;
  /** Payloads that fill the interface, and the largest that go there and come back whole. */
  readonly fits: number;
  readonly wholeThere: number;
  readonly wholeBack: number;

  constructor(path: ModelPath) {
    this.#path = path;
    this.#headers = headersOf(path);
    this.fits = this.#filling(path.client);
    this.wholeThere = this.#filling(Math.min(path.client, path.there));
    this.wholeBack = this.#filling(Math.min(path.server, path.back));
  }

  #filling(mtu: number): number {
    return Math.min(SIZE_MAX, mtu - this.#headers);
  }

  get isSilentThere(): boolean {
    return this.wholeThere < this.fits && !this.#path.icmpThere;
  }

  /** Fragments of the interface's size fit through a narrow IPv6 path only by the luck of eights. */
  get largestThere(): number {
    const { ipv6, fragmentsThere, client, there } = this.#path;
    const fitsCut = !ipv6 || !this.isSilentThere || fragmentOf(client, ipv6) <= there;
    if (this.wholeThere === SIZE_MAX) return SIZE_MAX;
    return fragmentsThere && fitsCut ? SIZE_MAX : this.wholeThere;
  }

  get holesThere(): [number, number][] {
    const isBetween = this.fits < SIZE_MAX && this.largestThere === SIZE_MAX;
    return this.isSilentThere && isBetween ? [[this.wholeThere + 1, this.fits]] : [];
  }

  /** Whether an echo of that size comes back, once the server was told what it is told. */
  comesBack(size: number): boolean {
    const { ipv6, serverSetsDf, server, back, icmpBack, fragmentsBack } = this.#path;
    if (size <= this.wholeBack) return true;
    if (!fragmentsBack) return false;
    const isNarrow = back < server;
    if (isNarrow && icmpBack) return true;
    if (isNarrow && (ipv6 || serverSetsDf) && size + this.#headers <= server) return false;
    return !ipv6 || !isNarrow || fragmentOf(server, ipv6) <= back;
  }

  get back(): number | null {
    const arriving = this.largestThere;
    if (this.wholeBack < arriving) return this.wholeBack + this.#headers;
    return arriving === SIZE_MAX || arriving === this.fits ? arriving + this.#headers : null;
  }

  get largestBack(): number | null {
    if (this.comesBack(this.largestThere)) return this.largestThere === SIZE_MAX ? SIZE_MAX : null;
    return Math.min(this.wholeBack, this.largestThere);
  }

  get holesBack(): [number, number][] {
    const first = this.wholeBack + 1;
    const last = this.#filling(this.#path.server);
    const isBetween = first <= last && last < this.largestThere && this.comesBack(this.largestThere);
    return isBetween && !this.comesBack(first) ? [[first, last]] : [];
  }
}

const mtu = fc.oneof(
  fc.constantFrom(576, 1280, 1400, 1450, 1492, 1500, 9000, 65_535),
  fc.integer({ min: 1280, max: 9000 }),
  fc.integer({ min: 68, max: 65_536 }),
);

/** Any path whose holes are those that its links make. */
const anyPath: fc.Arbitrary<ModelPath> = fc
  .record({
    ipv6: fc.boolean(),
    client: mtu,
    server: mtu,
    there: mtu,
    back: mtu,
    icmpThere: fc.boolean(),
    icmpBack: fc.boolean(),
    banners: fc.constant(true),
    serverSetsDf: fc.boolean(),
    fragmentsThere: fc.boolean(),
    fragmentsBack: fc.boolean(),
    holesThere: fc.constant([]),
    holesBack: fc.constant([]),
    loss: fc.constant(0),
    seed: fc.constant(1),
  })
  .filter(({ ipv6, client, server, there, back }) => !ipv6 || Math.min(client, server, there, back) >= 1280)
  // No link on the way back is wider than what the client's own interface takes.
  .map((path) => ({ ...path, back: Math.min(path.back, path.client) }));

describe("any path", () => {
  test("is told exactly, each way, where the server sends banners", async () => {
    await fc.assert(
      fc.asyncProperty(anyPath, fc.boolean(), async (path, isHinted) => {
        const truth = new Truth(path);
        fc.pre(!path.ipv6 || truth.holesThere.length === 0); // no echo of such a size can be had
        const { mtu: figures } = await find(path, isHinted ? path.client : null);
        expect(figures).toMatchObject({
          there: truth.wholeThere + headersOf(path),
          back: truth.back,
          largestThere: truth.largestThere,
          largestBack: truth.largestBack,
          holesThere: truth.holesThere,
          holesBack: truth.holesBack,
        });
      }),
      { numRuns: 1000 },
    );
  });

  test("is told nothing wrong of, where it does not", async () => {
    await fc.assert(
      fc.asyncProperty(anyPath, async (path) => {
        const truth = new Truth(path);
        const { mtu: figures, problems } = await find({ ...path, banners: false });
        const { there, back, largestThere, largestBack } = figures!;
        expect([null, truth.wholeThere + headersOf(path)]).toContain(there);
        expect([null, Math.min(truth.fits, truth.wholeBack) + headersOf(path)]).toContain(back);
        expect([null, truth.largestThere]).toContain(largestThere);
        expect([null, truth.largestBack]).toContain(largestBack);
        for (const { direction } of problems) expect(direction).toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  test("a byte narrower than this machine's link is not taken for narrow on the way back, for the fragments' sake", async () => {
    const links = { ipv6: true, client: 1281, server: 1281, there: 1280, back: 1281 };
    const { mtu: figures } = await find({ ...links, icmpThere: false, icmpBack: false, banners: false });
    expect([null, 1281]).toContain(figures!.back);
  });

  test("has no problem if it loses nothing", async () => {
    await fc.assert(
      fc.asyncProperty(anyPath, fc.boolean(), async (path, banners) => {
        const well = {
          ...path,
          banners,
          icmpThere: true,
          icmpBack: true,
          fragmentsThere: true,
          fragmentsBack: true,
        };
        const { problems, notes, mtu: figures } = await find(well);
        expect(problems).toEqual([]);
        const truth = new Truth(well);
        const narrow = Math.min(truth.wholeThere, truth.wholeBack) < truth.fits;
        expect(notes.map(({ code }) => code)).toEqual(narrow ? ["mtu_reduced"] : []);
        expect([figures!.largestThere, figures!.largestBack]).toEqual([SIZE_MAX, SIZE_MAX]);
      }),
      { numRuns: 500 },
    );
  });

  test("that loses sizes has a problem", async () => {
    await fc.assert(
      fc.asyncProperty(anyPath, fc.boolean(), async (path, banners) => {
        const truth = new Truth(path);
        const losesThere = truth.holesThere.length > 0 || truth.largestThere < SIZE_MAX;
        const losesBack = truth.holesBack.length > 0 || truth.largestBack !== SIZE_MAX;
        fc.pre(losesThere || losesBack);
        const { problems } = await find({ ...path, banners });
        expect(problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a path that loses packets at random", () => {
  const SEED = 20_261_126; // what is asserted holds of all but one path in thousands

  const seed = fc.integer({ min: 1, max: 2 ** 31 - 2 });
  const loss = fc.double({ min: 0.0005, max: 0.12, noNaN: true });

  test("is blamed for no size", async () => {
    await fc.assert(
      fc.asyncProperty(loss, seed, fc.boolean(), async (share, random, banners) => {
        const { swept, mtu: figures, problems } = await find({ loss: share, seed: random, banners });
        expect(swept).not.toBeNull();
        expect(problems).toEqual([]);
        if (swept!.measurableUpTo === 0) return;
        expect(figures).toMatchObject({ there: 1500, back: 1500, holesThere: [], holesBack: [] });
        const largest = swept!.measurableUpTo === SIZE_MAX ? SIZE_MAX : null;
        expect([figures!.largestThere, figures!.largestBack]).toEqual([largest, largest]);
      }),
      { numRuns: 500, seed: SEED },
    );
  });

  test("and is a black hole is told as such, with its edge", async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0.0005, max: 0.03, noNaN: true }), seed, async (share, random) => {
        const {
          swept,
          mtu: figures,
          problems,
        } = await find({
          ...{ there: 1400, icmpThere: false, loss: share, seed: random },
        });
        expect(problems.map(({ code }) => code)).toEqual(["mtu_black_hole"]);
        expect(figures!.there).toBe(1400);
        if (swept!.measurableUpTo > 1480) expect(figures!.holesThere).toEqual([[1373, 1472]]);
      }),
      { numRuns: 300, seed: SEED },
    );
  });
});

describe("holes", () => {
  const way = fc.constantFrom("holesThere" as const, "holesBack" as const);

  test("round the link's edge are found, and no more than they are", async () => {
    const edges = fc.constantFrom(1472, 2952, 4432);
    await fc.assert(
      fc.asyncProperty(
        way,
        edges,
        fc.integer({ min: -2, max: 4 }),
        fc.nat(60),
        async (key, edge, at, more) => {
          fc.pre(edge + at + more !== 1472); // as a narrow link has it
          const hole: [number, number] = [edge + at, edge + at + more];
          const found = await find({ [key]: [hole] });
          expect(found.mtu![key]).toEqual([hole]);
          expect(found.mtu).toMatchObject({ largestThere: SIZE_MAX, largestBack: SIZE_MAX });
          expect(found.problems.map(({ holes }) => holes)).toEqual([[hole]]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("anywhere are told exactly once one of their sizes was asked, and spoil nothing else", async () => {
    const hole = fc
      .tuple(fc.integer({ min: 600, max: 65_000 }), fc.nat(2000))
      .map(([from, length]): [number, number] => [from, Math.min(65_400, from + length)]);
    await fc.assert(
      fc.asyncProperty(way, hole, async (key, [from, to]) => {
        fc.pre(to < 1450 || from > 1480); // those that touch the edge move it
        const found: Found = await find({ [key]: [[from, to]] });
        const isMet = found.sizes.some((size) => size >= from && size <= to);
        expect(found.mtu).toMatchObject({
          there: 1500,
          back: 1500,
          largestThere: SIZE_MAX,
          largestBack: SIZE_MAX,
        });
        expect(found.mtu![key]).toEqual(isMet ? [[from, to]] : []);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the questions", () => {
  test("are few on a path that is well, whether or not the interface is known", async () => {
    expect((await find({})).asked).toBeLessThan(100);
    expect((await find({}, null)).asked).toBeLessThan(120);
  });

  test("come to an end on a path that loses every second one, without a word on it", async () => {
    const { swept, sizes } = await find({ loss: 0.5 });
    expect(swept!.measurableUpTo).toBe(0);
    expect(sizes.length).toBeLessThan(200);
  });

  test("come to an end where sizes fare differently from one to the next", async () => {
    const { swept, sizes } = await find({}, 1500, (look, size) =>
      size % 2 === 0 ? look : { ...look, there: "lost", back: "unknown", fragmentBytes: 0, failed: 3 },
    );
    expect(swept).toBeNull();
    expect(sizes.length).toBeLessThan(1100);
  });

  test("are asked again before one that had bad luck is called a hole", async () => {
    const unlucky = new Set([1472, 2953, SIZE_MAX]);
    const found = await find({}, 1500, (look, size) =>
      unlucky.delete(size) ? { ...look, there: "lost", back: "unknown", fragmentBytes: 0, failed: 3 } : look,
    );
    expect(unlucky.size).toBe(0);
    expect({ problems: found.problems, mtu: found.mtu }).toEqual({ problems: [], mtu: (await find({})).mtu });
  });

  test("go as far as ever though one try was lost by accident", async () => {
    for (const unlucky of [40, 548, 1472]) {
      const found = await find({}, 1500, (look, size) => (size === unlucky ? { ...look, failed: 1 } : look));
      expect(found.swept!.loss.lost).toBe(1);
      expect({ mtu: found.mtu, notes: found.notes }).toEqual({ mtu: (await find({})).mtu, notes: [] });
    }
  });

  test("are none beyond what a datagram can carry", async () => {
    const { sizes, mtu: figures } = await find({
      ...WELL,
      client: 65_536,
      server: 65_536,
      there: 65_536,
      back: 65_536,
    });
    expect(Math.max(...sizes)).toBe(SIZE_MAX);
    expect(figures).toMatchObject({ there: 65_535, back: 65_535 });
  });
});
