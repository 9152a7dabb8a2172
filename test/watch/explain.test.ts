import { describe, expect, test } from "bun:test";
import { type Evidence, explain } from "../../src/diagnose/watch/explain.ts";
import { type NewcomerFate, Newcomers, type Seen } from "../../src/diagnose/watch/newcomers.ts";
import { B } from "./fixtures.ts";

const ANSWERED: NewcomerFate = { kind: "answered", server: B };
const NOTHING: NewcomerFate = { kind: "nothing", forMs: 600 };

/** What a newcomer has seen that was sent at 1400: 400 ms after the silence began, and 600 before it is looked at. */
function saw(fate: NewcomerFate, sentMs = 1400): Seen {
  return { fate, sentMs };
}

/** Silent since 1000, looked at at 2000. */
function why(known: Partial<Evidence>): ReturnType<typeof explain> {
  return explain({
    protocol: "udp",
    sinceMs: 1000,
    nowMs: 2000,
    newcomer: null,
    otherNewcomer: null,
    answeredSinceMs: known.newcomer?.fate.kind === "answered" ? known.newcomer.sentMs : null,
    otherAnsweredSinceMs: known.otherNewcomer?.fate.kind === "answered" ? known.otherNewcomer.sentMs : null,
    provenAfterMs: 300,
    isStream: false,
    measured: true,
    otherMeasured: true,
    heldIsAnswered: false,
    isLate: false,
    timeoutMs: 1000,
    isNew: false,
    ownPort: 40112,
    targetPort: 5678,
    target: "udp://10.96.0.7",
    ...known,
  });
}

describe("why a held flow is silent", () => {
  test("new flows are answered: this flow alone is stuck, and who answers them", () => {
    expect(why({ newcomer: saw(ANSWERED), otherNewcomer: saw(NOTHING) })).toMatchObject({
      code: "this_flow",
      newServer: B,
      where: "path",
      next: "conntrack -D -p udp --sport 40112 --dport 5678",
    });
  });

  test("new flows are refused: by whom", () => {
    expect(why({ newcomer: saw({ kind: "refused", by: "10.97.1.2" }) })).toMatchObject({
      code: "refused",
      by: "10.97.1.2",
      where: "far_end",
    });
  });

  test("answers come late: nobody has gone, whatever new flows see", () => {
    const seen = { isLate: true, timeoutMs: 200, newcomer: saw(NOTHING), otherNewcomer: saw(NOTHING) };
    expect(why(seen)).toMatchObject({ code: "late", says: expect.stringContaining("--timeout (200 ms)") });
  });

  test("a router says that there is no way", () => {
    expect(why({ newcomer: saw({ kind: "unreachable", by: "10.97.3.1" }) })).toMatchObject({
      code: "unreachable",
      by: "10.97.3.1",
      where: "path",
    });
  });

  test("nothing is answered by either protocol: the path is gone for all", () => {
    expect(why({ newcomer: saw(NOTHING), otherNewcomer: saw(NOTHING) })).toMatchObject({
      code: "path",
      where: "path",
    });
  });

  test("the other protocol is answered: only this one is dead", () => {
    expect(why({ newcomer: saw(NOTHING), otherNewcomer: saw(ANSWERED) })).toMatchObject({ code: "protocol" });
  });

  test("connections are accepted and nothing comes: the far end is gone", () => {
    const tcp = { protocol: "tcp", newcomer: saw({ kind: "accepted" }) } as const;
    expect(why(tcp)).toMatchObject({ code: "far_end", where: "far_end" });
    expect(why({ newcomer: saw(NOTHING), otherNewcomer: saw({ kind: "accepted" }) })).toMatchObject({
      code: "far_end",
    });
  });

  test("a newcomer that was answered just now proves nothing: the outage for all may have ended with it", () => {
    expect(why({ newcomer: saw(ANSWERED, 1750) })).toBeNull();
    expect(why({ newcomer: saw(ANSWERED, 1700) })).toMatchObject({ code: "this_flow" });
  });

  test("a session is given as long again as the path was out: TCP waits longer each time", () => {
    const session = { protocol: "tcp", isStream: true } as const;
    expect(why({ ...session, newcomer: saw(ANSWERED, 1000) })).toMatchObject({ code: "this_flow" });
    // New ones are answered for 3 s after 3 s without an answer: the next retransmission is due just then.
    expect(why({ ...session, newcomer: saw(ANSWERED, 4000), nowMs: 7000 })).toBeNull();
    expect(why({ ...session, newcomer: saw(ANSWERED, 4000), nowMs: 7600 })).toMatchObject({
      code: "this_flow",
    });
    const long = { ...session, newcomer: saw(ANSWERED, 3_601_000) }; // an hour; Linux waits 120 s at most
    expect(why({ ...long, nowMs: 3_601_000 + 120_000 })).toBeNull();
    expect(why({ ...long, nowMs: 3_601_000 + 121_000 })).toMatchObject({ code: "this_flow" });
  });

  test("the other protocol, answered later than this one's newcomer was sent, proves nothing either", () => {
    expect(why({ newcomer: saw(NOTHING, 1400), otherNewcomer: saw(ANSWERED, 1900) })).toBeNull();
    expect(why({ newcomer: saw(NOTHING, 1400), otherNewcomer: saw(ANSWERED, 1300) })).toMatchObject({
      code: "protocol",
    });
  });

  test("connections are ended before an echo: so it says", () => {
    const cut = why({ protocol: "tcp", newcomer: saw({ kind: "cut" }) });
    expect(cut).toMatchObject({ code: "far_end" });
    expect(cut!.says).toContain("accepted, and then ended");
  });

  test("is not said before it is known", () => {
    expect(why({})).toBeNull();
    expect(why({ newcomer: saw(NOTHING) })).toBeNull(); // what TCP sees is still to come
    expect(why({ otherNewcomer: saw(ANSWERED) })).toBeNull();
  });

  test("is taken from the other protocol's newcomers where its own are not sent, and from none where none are", () => {
    expect(why({ measured: false, otherNewcomer: saw(ANSWERED) })).toMatchObject({
      code: "this_flow",
      newServer: B,
    });
    expect(why({ measured: false, otherMeasured: false })).toBeNull();
    expect(why({ newcomer: saw(NOTHING), otherMeasured: false })).toMatchObject({ code: "path" });
  });
});

test("newcomers that are silent where held flows are answered: only new ones are not let in", () => {
  expect(why({ isNew: true, newcomer: saw(NOTHING), heldIsAnswered: true })).toMatchObject({
    code: "new_flows",
  });
  expect(
    why({ isNew: true, newcomer: saw(NOTHING), otherNewcomer: saw(NOTHING), heldIsAnswered: false }),
  ).toMatchObject({
    code: "path",
  });
  expect(why({ isNew: true, newcomer: saw(ANSWERED) })).toBeNull();
});

describe("what newcomers have seen", () => {
  test("counts from the silence on, the newest first; one that waits counts after a while", () => {
    const newcomers = new Newcomers(["udp"]);
    expect(newcomers.measures("tcp")).toBe(false);
    newcomers.sent("udp", 0).ended(ANSWERED, 5);
    expect(newcomers.seenSince("udp", 0, 10)).toEqual(saw(ANSWERED, 0));
    expect(newcomers.seenSince("udp", 1, 10)).toBeNull();
    newcomers.sent("udp", 1000);
    expect(newcomers.seenSince("udp", 500, 1199)).toBeNull();
    expect(newcomers.seenSince("udp", 500, 1200)).toEqual(saw({ kind: "nothing", forMs: 200 }, 1000));
    expect(newcomers.seenSince("udp", 1001, 1400)).toBeNull();
    const next = newcomers.sent("udp", 2000);
    next.ended(ANSWERED, 2001);
    expect(newcomers.seenSince("udp", 500, 2001)).toEqual(saw(ANSWERED, 2000));
  });

  test("a connection that was accepted and says nothing is no silence of the path", () => {
    const newcomers = new Newcomers(["tcp"]);
    newcomers.sent("tcp", 0).accepted();
    expect(newcomers.seenSince("tcp", 0, 500)).toEqual(saw({ kind: "accepted" }, 0));
  });

  test("where answers take long, one that waits counts later", () => {
    const newcomers = new Newcomers(["udp"]);
    newcomers.sent("udp", 0).ended(ANSWERED, 600);
    newcomers.sent("udp", 1000);
    expect(newcomers.seenSince("udp", 1000, 2799)).toBeNull();
    expect(newcomers.seenSince("udp", 1000, 2800)).toEqual(saw({ kind: "nothing", forMs: 1800 }, 1000));
  });

  test("keeps only those that wait, and the newest that is decided", () => {
    const newcomers = new Newcomers(["udp"]);
    const slow = newcomers.sent("udp", 0);
    for (let ms = 1; ms < 1000; ms++) newcomers.sent("udp", ms).ended(NOTHING, ms);
    slow.ended(ANSWERED, 1000); // older than what is known
    expect(newcomers.seenSince("udp", 0, 1000)).toEqual(saw(NOTHING, 999));
  });

  test("from when on all were answered, in this silence; one that fails begins anew", () => {
    const newcomers = new Newcomers(["udp"]);
    for (const ms of [0, 1000, 2000]) newcomers.sent("udp", ms).ended(ANSWERED, ms + 1);
    expect(newcomers.answeredSince("udp", 0)).toBe(0);
    expect(newcomers.answeredSince("udp", 500)).toBe(1000);
    expect(newcomers.answeredSince("udp", 2001)).toBeNull();
    newcomers.sent("udp", 3000).ended(NOTHING, 4000);
    expect(newcomers.answeredSince("udp", 500)).toBeNull();
    for (let ms = 5000; ms < 500_000; ms += 1000) newcomers.sent("udp", ms).ended(ANSWERED, ms + 1);
    expect(newcomers.answeredSince("udp", 500)).toBe(5000);
    expect(newcomers.answeredSince("udp", 490_500)).toBe(491_000);
  });
});
