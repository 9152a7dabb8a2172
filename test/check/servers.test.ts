import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { serversSeen, translationOf } from "../../src/diagnose/check/servers.ts";
import { banner, end } from "./fixtures.ts";

const OWN = "10.244.3.9:40112";
const ASKED = "10.96.0.7:5678";

describe("who answered", () => {
  test("is counted by flows, the busiest first", () => {
    const one = banner("10.244.1.2:5678", OWN, { pod: "server1-abc", node: "node1" });
    const two = banner("10.244.2.2:5678", OWN);
    expect(serversSeen([two, one, null, one])).toEqual([
      { server: "10.244.1.2:5678", pod: "server1-abc", node: "node1", flows: 2 },
      { server: "10.244.2.2:5678", pod: null, node: null, flows: 1 },
      { server: null, pod: null, node: null, flows: 1 },
    ]);
  });

  test("is not known without banners", () => {
    expect(serversSeen([null, null])).toBeNull();
    expect(serversSeen([])).toBeNull();
  });

  test("two Pods that had one address are two", () => {
    const pods = ["old", "new"].map((pod) => banner(ASKED, OWN, { pod }));
    expect(serversSeen(pods)?.map(({ pod }) => pod)).toEqual(["new", "old"]);
  });

  test("adds up to all flows, whatever their order", () => {
    const any = fc.option(fc.integer({ min: 1, max: 9 }).map((host) => banner(`10.0.0.${host}:1`, OWN)));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 40 }), (banners) => {
        const seen = serversSeen(banners);
        fc.pre(seen !== null);
        expect(seen!.reduce((sum, { flows }) => sum + flows, 0)).toBe(banners.length);
        expect(serversSeen(banners.toReversed())).toEqual(seen);
        expect(seen!.map(({ flows }) => flows)).toEqual(
          seen!.map(({ flows }) => flows).toSorted((a, b) => b - a),
        );
      }),
    );
  });
});

describe("translation", () => {
  test("of nothing is said as such", () => {
    const flows = [{ own: end(OWN), banner: banner(ASKED, OWN) }];
    expect(translationOf(end(ASKED), flows)).toEqual({
      source: { own: "10.244.3.9", seen: ["10.244.3.9"], addressTranslated: false, portTranslated: false },
      destination: { asked: ASKED, translated: false },
      notes: [],
    });
  });

  test("is not known without banners, or without this end", () => {
    const unknown = { addressTranslated: null, portTranslated: null };
    expect(translationOf(end(ASKED), [{ own: end(OWN), banner: null }])).toEqual({
      source: { own: "10.244.3.9", seen: null, ...unknown },
      destination: { asked: ASKED, translated: null },
      notes: [],
    });
    const { source, notes } = translationOf(end(ASKED), [{ own: null, banner: banner(ASKED, OWN) }]);
    expect(source).toEqual({ own: null, seen: ["10.244.3.9"], ...unknown });
    expect(notes).toEqual([]);
    expect(translationOf(end(ASKED), []).source).toEqual({ own: null, seen: null, ...unknown });
  });

  test("of addresses on both sides is said with both", () => {
    const flows = ["10.244.2.2:5678", "10.244.1.2:5678", "10.244.2.2:5678"].map((server) => ({
      own: end(OWN),
      banner: banner(server, "10.89.0.12:1024"),
    }));
    expect(translationOf(end(ASKED), flows)).toEqual({
      source: { own: "10.244.3.9", seen: ["10.89.0.12"], addressTranslated: true, portTranslated: true },
      destination: { asked: ASKED, translated: true },
      notes: [
        { code: "source_translated", seen: "10.89.0.12", says: "10.244.3.9 was seen as 10.89.0.12" },
        {
          code: "destination_translated",
          says: "10.96.0.7:5678 was answered by 10.244.1.2:5678 and 10.244.2.2:5678",
        },
      ],
    });
  });

  test("of a port alone is told from one of an address", () => {
    const flows = [
      { own: end(OWN), banner: banner(ASKED, OWN) },
      { own: end("10.244.3.9:40113"), banner: banner(ASKED, "10.244.3.9:1024") },
    ];
    const { source, notes } = translationOf(end(ASKED), flows);
    expect(source).toMatchObject({ addressTranslated: false, portTranslated: true });
    expect(notes).toEqual([
      {
        code: "source_translated",
        seen: "10.244.3.9:1024",
        says: "10.244.3.9:40113 was seen as 10.244.3.9:1024: the port alone was changed",
      },
    ]);
  });

  test("by a proxy is said as such, and a zone is no translation", () => {
    const own = end("[fe80::1%eth0]:40112");
    const target = end("[fe80::2%eth0]:5678");
    const same = [{ own, banner: banner("[fe80::2]:5678", "[fe80::1%3]:40112") }];
    expect(translationOf(target, same).notes).toEqual([]);
    const via = end("10.0.0.3:999");
    const proxied = [{ own: end(OWN), banner: banner(ASKED, "10.0.0.4:1", { via }) }];
    expect(translationOf(end(ASKED), proxied).notes[0]?.says).toBe(
      "10.244.3.9 was seen as 10.0.0.4, by way of a proxy",
    );
  });

  test("to many is said with the first, and how many more there are", () => {
    const flows = [1, 2, 3, 4, 5, 6, 7].map((host) => ({
      own: end(OWN),
      banner: banner(`10.244.0.${host}:5678`, OWN),
    }));
    expect(translationOf(end(ASKED), flows).notes[0]?.says).toBe(
      "10.96.0.7:5678 was answered by " +
        "10.244.0.1:5678, 10.244.0.2:5678, 10.244.0.3:5678, 10.244.0.4:5678 and 3 more",
    );
  });
});
