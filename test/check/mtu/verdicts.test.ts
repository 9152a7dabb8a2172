import { describe, expect, test } from "bun:test";
import type { Look } from "../../../src/diagnose/check/mtu/look.ts";
import type { Hole, MtuResult, NoteCode, ProblemCode } from "../../../src/diagnose/result.ts";
import { parseAddress } from "../../../src/net/address.ts";
import { find, type ModelPath, OTHER, PLAIN, SILENT } from "./paths.ts";

/** What is said of a path: every verdict of sizes where it must be, and near it where it must not. */

const ALL = 65_507;
const WELL: MtuResult = {
  there: 1500,
  back: 1500,
  largestThere: ALL,
  largestBack: ALL,
  holesThere: [],
  holesBack: [],
  fragmentsThere: true,
  fragmentsBack: true,
};
const SWALLOWED: Hole[] = [[1373, 1472]];

type Problems = [ProblemCode, { direction: string | null; mtu?: number; holes?: Hole[] }][];
type Notes = [NoteCode, { direction: string; mtu: number }][];

interface Said {
  readonly mtu: Partial<MtuResult>;
  readonly problems?: Problems;
  readonly notes?: Notes;
}

const reduced = (direction: string): Notes => [["mtu_reduced", { direction, mtu: 1400 }]];
const blackHole = (direction: string | null): Problems => [["mtu_black_hole", { direction, mtu: 1400 }]];
const fragmentsLost = (direction: string | null): Problems => [["fragments_lost", { direction }]];

const CASES: [string, Partial<ModelPath>, Said][] = [
  ["all well", {}, { mtu: {} }],
  ["all well, without a banner", PLAIN, { mtu: {} }],
  [
    "loopback, which takes all that a datagram can be",
    { client: 65_536, server: 65_536, there: 65_536, back: 65_536 },
    { mtu: { there: 65_535, back: 65_535, fragmentsThere: null, fragmentsBack: null } },
  ],
  ["narrow there", { there: 1400 }, { mtu: { there: 1400 }, notes: reduced("there") }],
  [
    "narrow there, silent",
    { there: 1400, ...SILENT },
    { mtu: { there: 1400, holesThere: SWALLOWED }, problems: blackHole("there") },
  ],
  ["narrow back", { back: 1400 }, { mtu: { back: 1400 }, notes: reduced("back") }],
  ["narrow back, silent", { back: 1400, ...SILENT }, { mtu: { back: 1400 }, notes: reduced("back") }],
  [
    "narrow both ways",
    { there: 1400, back: 1400 },
    { mtu: { there: 1400, back: 1400 }, notes: reduced("both") },
  ],
  [
    "narrow back from another server",
    { ...OTHER, back: 1400 },
    { mtu: { back: 1400 }, notes: reduced("back") },
  ],
  [
    "narrow back from another server, silent",
    { ...OTHER, ...SILENT, back: 1400 },
    { mtu: { back: 1400, holesBack: SWALLOWED }, problems: blackHole("back") },
  ],
  [
    "narrow there without a banner",
    { ...PLAIN, there: 1400 },
    { mtu: { there: 1400 }, notes: reduced("there") },
  ],
  [
    "narrow there without a banner, silent",
    { ...PLAIN, ...SILENT, there: 1400 },
    { mtu: { there: 1400, holesThere: SWALLOWED }, problems: blackHole(null) },
  ],
  ["narrow back without a banner", { ...PLAIN, back: 1400 }, { mtu: { back: 1400 }, notes: reduced("back") }],
  [
    "narrow back without a banner, silent",
    { ...PLAIN, ...SILENT, back: 1400 },
    { mtu: { there: null, back: 1400, holesBack: SWALLOWED }, problems: blackHole(null) },
  ],
  [
    "jumbo frames at the server alone, silent",
    { ...OTHER, ...SILENT, server: 9000 },
    {
      mtu: { holesBack: [[1473, 8972]] },
      problems: [["mtu_black_hole", { direction: "back", mtu: 1500 }]],
    },
  ],
  [
    "a hole back",
    { holesBack: [[1473, 1475]] },
    {
      mtu: { holesBack: [[1473, 1475]] },
      problems: [["size_hole", { direction: "back", holes: [[1473, 1475]] }]],
    },
  ],
  [
    "a hole there, without a banner",
    { ...PLAIN, holesThere: [[1473, 1475]] },
    {
      mtu: { holesThere: null, holesBack: null },
      problems: [["size_hole", { direction: null, holes: [[1473, 1475]] }]],
    },
  ],
  [
    "holes of one kind, told once",
    {
      holesBack: [
        [1473, 1475],
        [2953, 2955],
      ],
    },
    {
      mtu: {
        holesBack: [
          [1473, 1475],
          [2953, 2955],
        ],
      },
      problems: [
        [
          "size_hole",
          {
            direction: "back",
            holes: [
              [1473, 1475],
              [2953, 2955],
            ],
          },
        ],
      ],
    },
  ],
  [
    "a hole that ends where the link does, which don't-fragment has no part in",
    { holesThere: [[1400, 1472]] },
    {
      mtu: { there: 1427, back: null, holesThere: [[1400, 1472]] },
      problems: [["size_hole", { direction: "there", holes: [[1400, 1472]] }]],
    },
  ],
  [
    "fragments lost there",
    { fragmentsThere: false },
    {
      mtu: { largestThere: 1472, largestBack: null, fragmentsThere: false, fragmentsBack: null },
      problems: fragmentsLost("there"),
    },
  ],
  [
    "fragments lost back",
    { fragmentsBack: false },
    { mtu: { largestBack: 1472, fragmentsBack: false }, problems: fragmentsLost("back") },
  ],
  [
    "fragments lost, without a banner",
    { ...PLAIN, fragmentsBack: false },
    {
      mtu: { largestThere: null, largestBack: null, fragmentsThere: null, fragmentsBack: null },
      problems: fragmentsLost(null),
    },
  ],
  [
    "narrow there, and fragments die",
    { there: 1400, fragmentsThere: false },
    {
      mtu: {
        there: 1400,
        back: null,
        largestThere: 1372,
        largestBack: null,
        fragmentsThere: false,
        fragmentsBack: null,
      },
      problems: fragmentsLost("there"),
    },
  ],
  [
    "narrow there and silent, and fragments die",
    { ...SILENT, there: 1400, fragmentsThere: false },
    {
      mtu: {
        there: 1400,
        back: null,
        largestThere: 1372,
        largestBack: null,
        fragmentsThere: false,
        fragmentsBack: null,
      },
      problems: [...blackHole("there"), ...fragmentsLost("there")],
    },
  ],
  [
    "narrow back, and fragments die",
    { back: 1400, fragmentsBack: false },
    { mtu: { back: 1400, largestBack: 1372, fragmentsBack: false }, problems: fragmentsLost("back") },
  ],
  ["IPv6, well", { ipv6: true }, { mtu: {} }],
  ["IPv6, narrow there", { ipv6: true, there: 1400 }, { mtu: { there: 1400 }, notes: reduced("there") }],
  [
    "IPv6, narrow there, silent",
    { ipv6: true, ...SILENT, there: 1400 },
    {
      mtu: {
        there: 1400,
        back: null,
        largestThere: 1352,
        largestBack: null,
        fragmentsThere: null,
        fragmentsBack: null,
      },
      problems: blackHole("there"),
    },
  ],
  ["IPv6, narrow back", { ipv6: true, back: 1400 }, { mtu: { back: 1400 }, notes: reduced("back") }],
  [
    "IPv6, narrow back, silent",
    { ipv6: true, ...SILENT, back: 1400 },
    { mtu: { back: 1400, largestBack: 1352, fragmentsBack: null }, problems: blackHole("back") },
  ],
  [
    "IPv6, a link of 1,496 there, silent: fragments of the interface's size fit",
    { ipv6: true, ...SILENT, there: 1496 },
    {
      mtu: { there: 1496, back: null, holesThere: [[1449, 1452]] },
      problems: [["mtu_black_hole", { direction: "there", mtu: 1496 }]],
    },
  ],
  [
    "IPv6, fragments lost back",
    { ipv6: true, fragmentsBack: false },
    { mtu: { largestBack: 1452, fragmentsBack: false }, problems: fragmentsLost("back") },
  ],
];

describe("of a path it is said", () => {
  test.each(CASES)("%s", async (_name, path, said) => {
    const found = await find(path);
    expect(found.mtu).toEqual({ ...WELL, ...said.mtu });
    expect(found.problems.map(({ code }) => code)).toEqual((said.problems ?? []).map(([code]) => code));
    for (const [at, [, facts]] of (said.problems ?? []).entries()) {
      expect(found.problems[at]).toMatchObject({ ...facts, where: "path", flow: "udp a > b" });
    }
    expect(found.notes.map(({ code }) => code)).toEqual((said.notes ?? []).map(([code]) => code));
    for (const [at, [, facts]] of (said.notes ?? []).entries()) expect(found.notes[at]).toMatchObject(facts);
  });
});

describe("of what ICMP tells", () => {
  const told = (mtu: number): Partial<Look> => ({
    there: "told",
    told: { mtu, by: parseAddress("10.0.0.1")! },
  });

  test("a word on some sizes is one on all that are larger: routers say it so many times a second only", async () => {
    const { problems, notes, mtu } = await find({ there: 1400 }, 1500, (look, size) =>
      look.there === "told" && size % 3 !== 0 ? { ...look, there: "lost", told: null, failed: 3 } : look,
    );
    expect({ problems, mtu }).toEqual({ problems: [], mtu: { ...WELL, there: 1400 } });
    expect(notes).toMatchObject([{ code: "mtu_reduced", direction: "there", mtu: 1400 }]);
  });

  test("a word of a wider link does not excuse a narrower one behind it that is silent", async () => {
    const { problems, mtu } = await find({ there: 1400, ...SILENT }, 1500, (look, size) =>
      look.there === "lost" && size + 28 > 1450 ? { ...look, ...told(1450), failed: 0 } : look,
    );
    expect(problems).toMatchObject([{ code: "mtu_black_hole", direction: "there", mtu: 1400 }]);
    expect(mtu).toEqual({ ...WELL, there: 1400, holesThere: [[1373, 1422]] });
  });

  test("less than what passes is not believed", async () => {
    const { problems, mtu } = await find({ there: 1400 }, 1500, (look) =>
      look.there === "told" ? { ...look, ...told(600) } : look,
    );
    expect({ problems, mtu }).toEqual({ problems: [], mtu: { ...WELL, there: 1400 } });
  });
});
