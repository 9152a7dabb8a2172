import { describe, expect, test } from "bun:test";
import { type Evidence, explain } from "../../src/diagnose/watch/explain.ts";
import { type NewcomerFate, Newcomers } from "../../src/diagnose/watch/newcomers.ts";
import { B } from "./fixtures.ts";

const NOTHING: NewcomerFate = { kind: "nothing", forMs: 600 };
const ANSWERED: NewcomerFate = { kind: "answered", server: B };

function why(known: Partial<Evidence>): ReturnType<typeof explain> {
  return explain({
    protocol: "udp",
    newcomer: null,
    otherNewcomer: null,
    measured: true,
    otherMeasured: true,
    heldIsAnswered: null,
    isNew: false,
    ownPort: 40112,
    targetPort: 5678,
    target: "udp://10.96.0.7",
    ...known,
  });
}

describe("why a held flow is silent", () => {
  test("new flows are answered: this flow alone is stuck, and who answers them", () => {
    expect(why({ newcomer: ANSWERED, otherNewcomer: NOTHING })).toMatchObject({
      code: "this_flow",
      newServer: B,
      where: "path",
      next: "conntrack -D -p udp --sport 40112 --dport 5678",
    });
  });

  test("new flows are refused: by whom", () => {
    expect(why({ newcomer: { kind: "refused", by: "10.97.1.2" } })).toMatchObject({
      code: "refused",
      by: "10.97.1.2",
      where: "far_end",
    });
  });

  test("a router says that there is no way", () => {
    expect(why({ newcomer: { kind: "unreachable", by: "10.97.3.1" } })).toMatchObject({
      code: "unreachable",
      by: "10.97.3.1",
      where: "path",
    });
  });

  test("nothing is answered by either protocol: the path is gone for all", () => {
    expect(why({ newcomer: NOTHING, otherNewcomer: NOTHING })).toMatchObject({ code: "path", where: "path" });
  });

  test("the other protocol is answered: only this one is dead", () => {
    expect(why({ newcomer: NOTHING, otherNewcomer: ANSWERED })).toMatchObject({ code: "protocol" });
  });

  test("connections are accepted and nothing comes: the far end is gone", () => {
    const tcp = { protocol: "tcp", newcomer: { kind: "accepted" } } as const;
    expect(why(tcp)).toMatchObject({ code: "far_end", where: "far_end" });
    expect(why({ newcomer: NOTHING, otherNewcomer: { kind: "accepted" } })).toMatchObject({
      code: "far_end",
    });
  });

  test("is not said before it is known", () => {
    expect(why({})).toBeNull();
    expect(why({ newcomer: NOTHING })).toBeNull(); // what TCP sees is still to come
    expect(why({ otherNewcomer: ANSWERED })).toBeNull();
  });

  test("is taken from the other protocol's newcomers where its own are not sent, and from none where none are", () => {
    expect(why({ measured: false, otherNewcomer: ANSWERED })).toMatchObject({
      code: "this_flow",
      newServer: B,
    });
    expect(why({ measured: false, otherMeasured: false })).toBeNull();
    expect(why({ newcomer: NOTHING, otherMeasured: false })).toMatchObject({ code: "path" });
  });
});

test("newcomers that are silent where held flows are answered: only new ones are not let in", () => {
  expect(why({ isNew: true, newcomer: NOTHING, heldIsAnswered: true })).toMatchObject({ code: "new_flows" });
  expect(
    why({ isNew: true, newcomer: NOTHING, otherNewcomer: NOTHING, heldIsAnswered: false }),
  ).toMatchObject({
    code: "path",
  });
  expect(why({ isNew: true, newcomer: ANSWERED })).toBeNull();
});

describe("what newcomers have seen", () => {
  test("counts from the silence on, the newest first; one that waits counts after a while", () => {
    const newcomers = new Newcomers(["udp"]);
    expect(newcomers.measures("tcp")).toBe(false);
    newcomers.sent("udp", 0).ended(ANSWERED, 5);
    expect(newcomers.fateSince("udp", 0, 10)).toEqual(ANSWERED);
    expect(newcomers.fateSince("udp", 1, 10)).toBeNull();
    newcomers.sent("udp", 1000);
    expect(newcomers.fateSince("udp", 500, 1199)).toBeNull();
    expect(newcomers.fateSince("udp", 500, 1200)).toEqual({ kind: "nothing", forMs: 200 });
    expect(newcomers.fateSince("udp", 1001, 1400)).toBeNull();
    const next = newcomers.sent("udp", 2000);
    next.ended(ANSWERED, 2001);
    expect(newcomers.fateSince("udp", 500, 2001)).toEqual(ANSWERED);
  });

  test("a connection that was accepted and says nothing is no silence of the path", () => {
    const newcomers = new Newcomers(["tcp"]);
    newcomers.sent("tcp", 0).accepted();
    expect(newcomers.fateSince("tcp", 0, 500)).toEqual({ kind: "accepted" });
  });

  test("where answers take long, one that waits counts later", () => {
    const newcomers = new Newcomers(["udp"]);
    newcomers.sent("udp", 0).ended(ANSWERED, 600);
    newcomers.sent("udp", 1000);
    expect(newcomers.fateSince("udp", 1000, 2799)).toBeNull();
    expect(newcomers.fateSince("udp", 1000, 2800)).toEqual({ kind: "nothing", forMs: 1800 });
  });

  test("keeps only those that wait, and the newest that is decided", () => {
    const newcomers = new Newcomers(["udp"]);
    const slow = newcomers.sent("udp", 0);
    for (let ms = 1; ms < 1000; ms++) newcomers.sent("udp", ms).ended(NOTHING, ms);
    slow.ended(ANSWERED, 1000); // older than what is known
    expect(newcomers.fateSince("udp", 0, 1000)).toEqual(NOTHING);
  });
});
