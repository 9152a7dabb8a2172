import { describe, expect, test } from "bun:test";
import type { CheckResult, Hole, MtuResult } from "../../src/diagnose/result.ts";
import type { Host } from "../clients/network.ts";
import { checkOne, checkText, noteOf, notesOf, ONCE, problemOf, problemsOf } from "./check.ts";
import {
  change,
  type Fault,
  FRAGMENTS_V4,
  FRAGMENTS_V6,
  ingress,
  iptables,
  noIcmp,
  route,
  together,
} from "./faults.ts";
import { CLIENT, type Lab, ROUTER, SERVER1 } from "./lab.ts";
import { badServer, type Serving } from "./serve.ts";

/** The sizes that pass, each way by itself: narrow links, black holes, lost fragments, holes. */

type Family = "v4" | "v6";
type Way = "there" | "back";

const NARROW = 1400;
const ALL = 65_507;
const HEADERS = { v4: 28, v6: 48 } as const;

/** What is found of a path that is well. */
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

function targetOf(family: Family, port = 5678): string {
  const address = SERVER1[family];
  return `udp://${family === "v4" ? address : `[${address}]`}:${port}`;
}

function checkSizes(lab: Lab, target: string): Promise<CheckResult> {
  return checkOne(lab.client, [target, ...ONCE, "--timeout", "2s", "--mtu"]);
}

/** A link of 1,400 on one way alone: a route of the router's. What the ends have learned of it is forgotten at its end. */
async function narrow(lab: Lab, way: Way, family: Family): Promise<Fault> {
  const to = way === "there" ? SERVER1[family] : CLIENT[family];
  const forget = (host: Host): Promise<Fault> =>
    change(host, "true", "ip -4 route flush cache\nip -6 route flush cache");
  return together(
    await forget(lab.client),
    await forget(lab.server1),
    await route(lab.router, `${to} via ${to} mtu ${NARROW}`),
  );
}

/** A server of another kind, without a banner or with one. */
function other(lab: Lab, family: Family, ...args: string[]): Promise<Serving> {
  return badServer(lab.server1, "udp", 7, "other-echo", SERVER1[family], "7", ...args);
}

/** It is said that the way is narrower than the interface, and nothing is wrong. */
function expectReduced(result: CheckResult, way: Way): void {
  expect(problemsOf(result)).toEqual([]);
  expect(notesOf(result)).toEqual(["mtu_reduced"]);
  expect(noteOf(result, "mtu_reduced")).toMatchObject({ direction: way, mtu: NARROW });
  expect(result.mtu).toEqual({ ...WELL, [way]: NARROW });
}

/** One black hole is said, and no second problem. */
function expectBlackHole(result: CheckResult, direction: Way | null, family: Family): void {
  expect(problemsOf(result)).toEqual(["mtu_black_hole"]);
  expect(notesOf(result)).toEqual([]);
  const problem = problemOf(result, "mtu_black_hole");
  expect(problem).toMatchObject({ direction, mtu: NARROW, where: "path" });
  expect(problem.says).toContain(family === "v4" ? "1,373 to 1,472 bytes" : "more than 1,352 bytes");
  expect(problem.flow).toStartWith(`udp ${family === "v4" ? CLIENT.v4 : `[${CLIENT.v6}]`}:`);
}

/** What a filtered narrow way swallows of IPv4; larger ones leave in fragments. */
const SWALLOWED: Hole[] = [[1373, 1472]];

export function mtuTests(lab: () => Lab): void {
  describe.each(["v4", "v6"] as const)("sizes, %s", (family) => {
    test("all pass where nothing is narrow", async () => {
      const result = await checkSizes(lab(), targetOf(family));
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({ problems: [], notes: [] });
      expect(result.mtu).toEqual(WELL);
    });

    test("are none of those without --mtu", async () => {
      expect((await checkOne(lab().client, [targetOf(family), ...ONCE])).mtu).toBeNull();
    });

    test("a narrow way there that says so is told, and who says it", async () => {
      await using _link = await narrow(lab(), "there", family);
      const result = await checkSizes(lab(), targetOf(family));
      expectReduced(result, "there");
      expect(noteOf(result, "mtu_reduced").says).toContain(ROUTER[family]);
    });

    test("a narrow way there that says nothing is a black hole", async () => {
      await using _silence = await noIcmp(lab().router);
      await using _link = await narrow(lab(), "there", family);
      const result = await checkSizes(lab(), targetOf(family));
      expectBlackHole(result, "there", family);
      expect(result.mtu).toEqual(
        family === "v4"
          ? { ...WELL, there: NARROW, holesThere: SWALLOWED }
          : {
              ...WELL,
              ...{ there: NARROW, back: null, largestThere: 1352, largestBack: null },
              ...{ fragmentsThere: null, fragmentsBack: null },
            },
      );
    });

    test("a narrow way back that says so is told", async () => {
      await using _link = await narrow(lab(), "back", family);
      expectReduced(await checkSizes(lab(), targetOf(family)), "back");
    });

    test("a narrow way back that says nothing makes a black hole of IPv6 alone", async () => {
      await using _silence = await noIcmp(lab().router);
      await using _link = await narrow(lab(), "back", family);
      const result = await checkSizes(lab(), targetOf(family));
      if (family === "v4") return expectReduced(result, "back");
      expectBlackHole(result, "back", family);
      expect(result.mtu).toEqual({ ...WELL, back: NARROW, largestBack: 1352, fragmentsBack: null });
    });

    test.each(["there", "back"] as const)("fragments lost on the way %s, and only those", async (way) => {
      const device = way === "there" ? "toclient" : "toserver1";
      const fragments = family === "v4" ? FRAGMENTS_V4 : FRAGMENTS_V6;
      await using _drop = await ingress(lab().router, device, `${fragments} drop`);
      const result = await checkSizes(lab(), targetOf(family));
      expect(problemsOf(result)).toEqual(["fragments_lost"]);
      expect(notesOf(result)).toEqual([]);
      expect(problemOf(result, "fragments_lost")).toMatchObject({ direction: way, where: "path" });
      const largest = 1500 - HEADERS[family];
      expect(result.mtu).toEqual(
        way === "there"
          ? { ...WELL, largestThere: largest, largestBack: null, fragmentsThere: false, fragmentsBack: null }
          : { ...WELL, largestBack: largest, fragmentsBack: false },
      );
    });

    test("an echo without banners: narrow ways that say so are told, and which", async () => {
      await using _echo = await other(lab(), family);
      for (const way of ["there", "back"] as const) {
        await using _link = await narrow(lab(), way, family);
        expectReduced(await checkSizes(lab(), targetOf(family, 7)), way);
      }
    });

    test("an echo without banners: a narrow way that says nothing is a black hole, and neither way is claimed", async () => {
      await using _echo = await other(lab(), family);
      await using _silence = await noIcmp(lab().router);
      for (const way of ["there", "back"] as const) {
        await using _link = await narrow(lab(), way, family);
        const result = await checkSizes(lab(), targetOf(family, 7));
        expectBlackHole(result, null, family);
        if (family === "v6") continue;
        // Of IPv4 it can be concluded: by what passes without don't-fragment, and by how long fragments are.
        expect(problemOf(result, "mtu_black_hole").likely).toContain(`on the way ${way}`);
        expect(result.mtu).toMatchObject({ [way]: NARROW, largestThere: ALL, largestBack: ALL });
      }
    });

    test("another server with banners: a narrow way back that says nothing is a black hole back", async () => {
      await using _echo = await other(lab(), family, "banner");
      await using _silence = await noIcmp(lab().router);
      await using _link = await narrow(lab(), "back", family);
      const result = await checkSizes(lab(), targetOf(family, 7));
      expectBlackHole(result, "back", family);
      if (family === "v4") expect(result.mtu).toEqual({ ...WELL, back: NARROW, holesBack: SWALLOWED });
    });
  });

  test.each(["there", "back"] as const)(
    "payloads of 1,473 to 1,475 lost on the way %s are a hole of just these",
    async (way) => {
      // Conntrack puts fragments together first, so that a rule sees the datagram.
      const device = way === "there" ? "-i toclient" : "-o toclient";
      const rule = `-A FORWARD ${device} -p udp -m length --length 1501:1503 -m conntrack ! --ctstate INVALID -j DROP`;
      await using _drop = await iptables(lab().router, rule);
      const result = await checkSizes(lab(), targetOf("v4"));
      expect(problemsOf(result)).toEqual(["size_hole"]);
      expect(notesOf(result)).toEqual([]);
      expect(problemOf(result, "size_hole")).toMatchObject({ direction: way, holes: [[1473, 1475]] });
      const holes = way === "there" ? "holesThere" : "holesBack";
      expect(result.mtu).toEqual({ ...WELL, [holes]: [[1473, 1475]] });
    },
  );

  test("very short last fragments lost on the way back are holes after each fragment's end", async () => {
    await using _drop = await ingress(
      lab().router,
      "toserver1",
      "ip frag-off & 0x1fff != 0 ip length 21-23 drop",
    );
    const problem = problemOf(await checkSizes(lab(), targetOf("v4")), "size_hole");
    expect(problem.direction).toBe("back");
    const ends: Hole[] = [1472, 2952, 4432].map((end) => [end + 1, end + 3]);
    for (const hole of ends) expect(problem.holes).toContainEqual(hole);
    expect(problem.likely).toContain("short last fragments");
  });

  test("a narrow way there whose cut datagrams die has lost fragments, and is no black hole", async () => {
    await using _link = await narrow(lab(), "there", "v4");
    await using _drop = await ingress(lab().server1, "eth0", `${FRAGMENTS_V4} drop`);
    const result = await checkSizes(lab(), targetOf("v4"));
    expect(problemsOf(result)).toEqual(["fragments_lost"]);
    expect(problemOf(result, "fragments_lost").direction).toBe("there");
    expect(result.mtu).toMatchObject({ there: NARROW, largestThere: 1372, fragmentsBack: null });
  });

  test("a server that echoes only the beginning is not blamed on the path", async () => {
    await using _echo = await badServer(lab().server1, "udp", 7, "liar", "cuts", SERVER1.v4, "7");
    const result = await checkSizes(lab(), targetOf("v4", 7));
    expect(problemsOf(result)).toEqual([]);
    expect(result.mtu).toEqual({ ...WELL, largestBack: null });
    expect(result.notes.some(({ says }) => says.includes("8,192"))).toBe(true);
  });

  test("a path that loses packets at random is blamed for no size", async () => {
    await using drop = await iptables(
      lab().router,
      "-A FORWARD -p udp -m statistic --mode random --probability 0.03 -j DROP",
    );
    const result = await checkSizes(lab(), targetOf("v4"));
    expect(await drop.packets()).toBeGreaterThan(0);
    expect(problemsOf(result).filter((code) => code !== "lost" && code !== "timeout")).toEqual([]);
    expect(result.mtu).toMatchObject({ there: 1500, back: 1500, holesThere: [], holesBack: [] });
  });

  test("in words they are told too", async () => {
    await using _silence = await noIcmp(lab().router);
    await using _link = await narrow(lab(), "there", "v4");
    const { exitCode, stdout } = await checkText(lab().client, [targetOf("v4"), ...ONCE, "--mtu"]);
    expect(exitCode).toBe(1);
    expect(stdout).toContain("mtu_black_hole");
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(
      "payloads of 1,373 to 1,472 bytes vanish on the way there",
    );
    expect(stdout).toContain("ping -M do");
  });
}
