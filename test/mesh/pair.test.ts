import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Pair } from "../../src/diagnose/mesh/pair.ts";
import type { ProbeFault, ProbeName } from "../../src/diagnose/mesh/seen.ts";
import { at, seen, unanswered } from "./fixtures.ts";

/** When a pair is up, down or unknown, since when and why, and its figures. */

const PACE = { intervalMs: 1000, timeoutMs: 1000 };
/** Without a measurement for longer than this nothing is known. */
const STALE_MS = 3 * PACE.intervalMs + 2 * PACE.timeoutMs;
const PEER = "10.0.0.2";

describe("UDP", () => {
  test("unknown until it is measured; one probe without an answer changes nothing; two in a row are down", () => {
    const pair = new Pair("udp", PACE, at(0));
    expect([pair.up, pair.why(0), pair.sinceWallMs]).toEqual([null, "not measured yet", at(0).wallMs]);
    const miss = (ms: number) => pair.take(unanswered(PEER, "udp", { atMs: at(ms).wallMs }), at(ms));
    const answer = (ms: number) => pair.take(seen(PEER, "udp", { atMs: at(ms).wallMs }), at(ms));
    expect(miss(1000)).toBeNull();
    expect(pair.up).toBeNull();
    expect(pair.why(1000)).toContain("nothing came within 1.00 s, 1 probe in a row");
    expect(answer(2000)).toEqual({ before: null, after: true, lastedMs: 2000, isFirst: true });
    expect([pair.up, pair.why(2000)]).toEqual([true, null]);
    expect(miss(3000)).toBeNull();
    expect([pair.up, pair.why(3000)]).toEqual([true, null]);
    expect(miss(4000)).toEqual({ before: true, after: false, lastedMs: 2000, isFirst: false });
    expect(pair.sinceWallMs).toBe(at(4000).wallMs);
    expect(miss(5000)).toBeNull();
    expect(pair.why(5000)).toBe(
      "UDP: nothing came within 1.00 s, 3 probes in a row (udp 10.0.0.1:4000 > 10.0.0.2:1)",
    );
    expect(answer(6000)).toEqual({ before: false, after: true, lastedMs: 2000, isFirst: false });
  });

  test("what was sent before one that was answered makes nothing down, however late its time is up", () => {
    const pair = new Pair("udp", PACE, at(0));
    const miss = (sentMs: number, ms: number) => pair.take(unanswered(PEER, "udp", { sentMs }), at(ms));
    miss(0, 1000);
    expect(miss(1000, 2000)).toMatchObject({ after: false });
    expect(pair.take(seen(PEER, "udp", { sentMs: 4000 }), at(4001))).toMatchObject({ after: true });
    expect([miss(2000, 4010), miss(3000, 4020), pair.up]).toEqual([null, null, true]);
    expect(pair.figures(4020)).toMatchObject({ sent: 5, lost: 4 });
    expect([miss(5000, 6000), miss(6000, 7000)]).toEqual([null, expect.objectContaining({ after: false })]);
  });

  test("a pair that was not measured for long is unknown since the last measurement, and begins anew", () => {
    const pair = new Pair("udp", PACE, at(0));
    pair.take(seen(PEER, "udp"), at(1000));
    expect(pair.settle(at(1000 + STALE_MS))).toBeNull();
    const late = at(1001 + STALE_MS);
    expect(pair.settle(late)).toEqual({ before: true, after: null, lastedMs: STALE_MS + 1, isFirst: false });
    expect(pair.sinceWallMs).toBe(at(1000).wallMs);
    expect(pair.why(late.ms)).toBe("not measured for 5.00 s: this prober did not run");
    expect(pair.settle(late)).toBeNull(); // once
    expect(pair.take(unanswered(PEER, "udp"), late)).toBeNull(); // the first since then
    expect(pair.up).toBeNull();
  });

  test("what is late after a stall does not make two in a row of what was before it", () => {
    const pair = new Pair("udp", PACE, at(0));
    pair.take(seen(PEER, "udp"), at(0));
    pair.take(unanswered(PEER, "udp"), at(1000));
    const afterStall = at(1000 + STALE_MS + 1);
    expect(pair.take(unanswered(PEER, "udp"), afterStall)).toMatchObject({ before: true, after: null });
    expect(pair.take(unanswered(PEER, "udp"), at(afterStall.ms + 1000))).toMatchObject({ after: false });
  });

  test.each<[ProbeFault, RegExp]>([
    ["no_ports_here", /no source port left/],
    ["no_descriptors_here", /no descriptor left/],
  ])("%s is no measurement: neither down nor well, and unknown after a while", (fault, why) => {
    const pair = new Pair("udp", PACE, at(0));
    const own = (ms: number) => pair.take(unanswered(PEER, "udp", { fault, sent: 0, lost: 0 }), at(ms));
    expect(own(0)).toBeNull();
    expect(pair.why(0)).toMatch(why);
    pair.take(seen(PEER, "udp"), at(1000));
    for (let ms = 2000; ms <= 1000 + STALE_MS; ms += 1000) own(ms);
    expect(pair.up).toBe(true);
    pair.settle(at(2000 + STALE_MS));
    expect(pair.up).toBeNull();
    expect(pair.why(2000 + STALE_MS)).toMatch(why);
  });
});

describe("TCP", () => {
  test.each<[ProbeName, string | null, string]>([
    ["tcp-new", null, "a new TCP session: connected, then neither banner nor echo within 1.00 s"],
    ["tcp-new", `${PEER}:1`, "a new TCP session: connected, then a banner and no echo within 1.00 s"],
    ["tcp-held", `${PEER}:1`, "the held TCP session: no echo within 1.00 s"],
    ["tcp-held", null, "the held TCP session: no echo within 1.00 s"],
  ])("a silent %s whose banner was of %p says no more than that", (probe, server, why) => {
    const pair = new Pair("tcp", PACE, at(0));
    pair.take(unanswered(PEER, probe, { fault: "silent", server }), at(1000));
    expect(pair.why(1000)).toStartWith(`${why}, 1 probe in a row`);
  });

  test("one that has no port for new sessions is unknown for that, though its held one is answered", () => {
    const pair = new Pair("tcp", PACE, at(0));
    const fault = "no_ports_here";
    for (const probe of ["tcp-new", "tcp-held"] as const) pair.take(seen(PEER, probe), at(0));
    for (let ms = 1000; ms <= STALE_MS + 2000; ms += 1000) {
      pair.take(unanswered(PEER, "tcp-new", { fault, sent: 0, lost: 0 }), at(ms));
      pair.take(seen(PEER, "tcp-held"), at(ms + 500));
      pair.settle(at(ms + 501));
    }
    expect(pair.up).toBeNull();
    expect(pair.why(STALE_MS + 3000)).toBe("not measured: this machine has no source port left");
    pair.take(seen(PEER, "tcp-new"), at(STALE_MS + 3000));
    expect([pair.up, pair.why(STALE_MS + 3000)]).toEqual([true, null]);
  });

  test("an echo without a banner says what to do where servers send none", () => {
    const pair = new Pair("tcp", PACE, at(0));
    pair.take(unanswered(PEER, "tcp-new", { fault: "no_banner" }), at(1000));
    expect(pair.why(1000)).toContain("(with --no-banner any echo counts)");
  });

  test("is up when both its probes are, and down when one is", () => {
    const pair = new Pair("tcp", PACE, at(0));
    pair.take(seen(PEER, "tcp-new"), at(0));
    expect(pair.up).toBeNull();
    pair.take(seen(PEER, "tcp-held"), at(10));
    expect(pair.up).toBe(true);
    pair.take(unanswered(PEER, "tcp-held", { fault: "reset" }), at(1000));
    pair.take(unanswered(PEER, "tcp-new", { fault: "refused" }), at(1010));
    expect(pair.up).toBe(true); // two, but not of one kind
    pair.take(seen(PEER, "tcp-new"), at(2010));
    pair.take(unanswered(PEER, "tcp-held", { fault: "reset" }), at(2000));
    expect(pair.up).toBe(false);
    expect(pair.why(2010)).toStartWith(
      "the held TCP session: the session was reset, 2 probes in a row (tcp ",
    );
  });

  test("one of its probes that is measured no more makes it unknown", () => {
    const pair = new Pair("tcp", PACE, at(0));
    pair.take(seen(PEER, "tcp-held"), at(0));
    for (let ms = 0; ms <= STALE_MS; ms += 1000) pair.take(seen(PEER, "tcp-new"), at(ms));
    expect(pair.up).toBe(true);
    expect(pair.take(seen(PEER, "tcp-new"), at(STALE_MS + 1))).toMatchObject({ after: null });
    expect(pair.why(STALE_MS + 1)).toContain("this prober did not run");
  });

  test("who answered in the peer's place is named", () => {
    const pair = new Pair("tcp", PACE, at(0));
    for (const ms of [0, 1000])
      pair.take(
        unanswered(PEER, "tcp-new", { fault: "other_server", server: "10.0.0.9:1234", lost: 0 }),
        at(ms),
      );
    expect(pair.up).toBe(false);
    expect(pair.why(1000)).toContain("10.0.0.9:1234 answered in its place");
  });
});

/** What a history must come to, worked out from its beginning. */
type Step = { readonly kind: ProbeName; readonly answered: boolean; readonly atMs: number };

function stateOf(history: readonly Step[], kind: ProbeName, nowMs: number): boolean | null {
  let up: boolean | null = null;
  let inARow = 0;
  let lastMs: number | null = null;
  for (const { answered, atMs } of history.filter((step) => step.kind === kind)) {
    if (lastMs !== null && atMs - lastMs > STALE_MS) [up, inARow] = [null, 0];
    inARow = answered ? 0 : inARow + 1;
    if (answered) up = true;
    else if (inARow >= 2) up = false;
    lastMs = atMs;
  }
  return lastMs === null || nowMs - lastMs > STALE_MS ? null : up;
}

test("whatever comes and whenever: as worked out from the beginning, and figures add up", () => {
  const step = fc.record({
    kind: fc.constantFrom<ProbeName>("tcp-new", "tcp-held"),
    answered: fc.boolean(),
    afterMs: fc.oneof(fc.constantFrom(0, 300, 900, 1000), fc.integer({ min: 0, max: 2 * STALE_MS })),
    looks: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const pair = new Pair("tcp", PACE, at(0));
      const history: Step[] = [];
      let nowMs = 0;
      for (const { kind, answered, afterMs, looks } of steps) {
        nowMs += afterMs;
        const before = pair.up;
        if (looks) pair.settle(at(nowMs));
        const probe = answered ? seen(PEER, kind) : unanswered(PEER, kind);
        const settled = pair.up;
        const change = pair.take(probe, at(nowMs));
        expect(change === null).toBe(pair.up === settled);
        if (before !== pair.up) expect(pair.sinceWallMs).toBeLessThanOrEqual(at(nowMs).wallMs);
        history.push({ kind, answered, atMs: nowMs });
      }
      pair.settle(at(nowMs));
      const both = (["tcp-new", "tcp-held"] as const).map((kind) => stateOf(history, kind, nowMs));
      expect(pair.up).toBe(both.includes(false) ? false : both.includes(null) ? null : true);
      expect(pair.why(nowMs) === null).toBe(pair.up === true);
      const lately = history.filter(({ atMs }) => atMs > nowMs - 60_000);
      const lost = (of: readonly Step[]): number => of.filter(({ answered }) => !answered).length;
      const figures = pair.figures(nowMs);
      expect(figures).toMatchObject({ sent: lately.length, lost: lost(lately) });
      expect(figures.rttMs === null).toBe(lately.length === lost(lately));
      expect(pair.totals).toMatchObject({ sent: history.length, lost: lost(history) });
      expect(pair.rtt.counts.reduce((sum, count) => sum + count, 0)).toBe(history.length - lost(history));
    }),
    { numRuns: 500 },
  );
});

test("figures are those of the last minute, to the microsecond, by nearest rank", () => {
  const pair = new Pair("udp", PACE, at(0));
  pair.take(seen(PEER, "udp", { rttMs: 500, hops: 7 }), at(0));
  for (let index = 1; index <= 100; index++)
    pair.take(seen(PEER, "udp", { rttMs: index / 10 + 0.000_04 }), at(60_000 + index));
  expect(pair.figures(60_100).rttMs).toEqual({ p50: 5, p99: 9.9 });
  expect(pair.hops).toBe(7);
  expect(pair.figures(60_100).sent).toBe(100);
  expect(pair.figures(120_101)).toMatchObject({ rttMs: null, sent: 0 });
});

test("times fall into the bucket whose bound is not below them", () => {
  const pair = new Pair("udp", PACE, at(0));
  for (const rttMs of [0.05, 0.0501, 9000]) pair.take(seen(PEER, "udp", { rttMs }), at(0));
  expect(pair.rtt.counts.slice(0, 3)).toEqual([1, 1, 0]);
  expect(pair.rtt.counts.at(-1)).toBe(1);
  expect(pair.rtt.sumSeconds).toBeCloseTo(9.0001001, 9);
});
