import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Fate, type Outage, OutageBook, stepOutage } from "../../src/diagnose/watch/outages.ts";

const TIMEOUT_MS = 1000;

/** The definition, read off the page: from the first without an answer to the first after it that had one. */
function outagesByDefinition(probes: readonly Fate[]): Outage[] {
  const outages: Outage[] = [];
  for (let at = 0; at < probes.length; ) {
    const first = probes.findIndex((probe, index) => index >= at && !probe.answered);
    const next = probes.findIndex((probe, index) => index > first && probe.answered);
    if (first === -1 || next === -1) break;
    outages.push({ sinceMs: probes[first]!.sentMs, untilMs: probes[next]!.sentMs, lost: next - first });
    at = next;
  }
  return outages;
}

/** A probe: how long after the one before it was sent, and when answers to it came, in ms after its sending. */
const probe = fc.record({
  gapMs: fc.oneof(fc.constant(50), fc.integer({ min: 0, max: 3000 })),
  answersMs: fc.oneof(
    fc.constant([] as number[]),
    fc.constant([1]),
    fc.array(fc.integer({ min: 0, max: 2 * TIMEOUT_MS }), { maxLength: 3 }),
  ),
});

interface Step {
  readonly atMs: number;
  readonly order: number;
  readonly act: (book: OutageBook) => void;
}

/** Plays sendings, answers and looks in the order of time. */
function play(probes: readonly { gapMs: number; answersMs: readonly number[] }[], lookMs: number) {
  const book = new OutageBook();
  const told: Outage[] = [];
  const fates: Fate[] = [];
  const steps: Step[] = [];
  let sentMs = 0;
  for (const [number, { gapMs, answersMs }] of probes.entries()) {
    sentMs += gapMs;
    const atMs = sentMs;
    steps.push({ atMs, order: 1, act: (it) => void it.send(atMs, atMs + TIMEOUT_MS) });
    for (const delayMs of answersMs) {
      steps.push({
        atMs: atMs + delayMs,
        order: 2,
        act: (it) => (delayMs > TIMEOUT_MS ? it.answerLate(number) : void it.answer(number)),
      });
    }
    fates.push({ sentMs, answered: answersMs.some((delayMs) => delayMs <= TIMEOUT_MS) });
  }
  const endMs = sentMs + 3 * TIMEOUT_MS;
  for (let atMs = 0; atMs <= endMs; atMs += lookMs) {
    steps.push({ atMs, order: 0, act: (it) => void told.push(...it.settle(atMs)) });
  }
  for (const step of steps.sort((a, b) => a.atMs - b.atMs || a.order - b.order)) step.act(book);
  told.push(...book.settle(endMs + lookMs));
  return { book, told, fates, endMs };
}

const plays = { probes: fc.array(probe, { maxLength: 40 }), lookMs: fc.integer({ min: 7, max: 900 }) };

describe("outages of probes that are answered one by one", () => {
  test("are what the definition says, whatever comes late, twice or in another order", () => {
    fc.assert(
      fc.property(plays.probes, plays.lookMs, (probes, lookMs) => {
        const { told, fates } = play(probes, lookMs);
        expect(told).toEqual(outagesByDefinition(fates));
      }),
      { numRuns: 2000 },
    );
  });

  test("are counted with the one that has not ended", () => {
    fc.assert(
      fc.property(plays.probes, plays.lookMs, (probes, lookMs) => {
        const { book, fates, endMs } = play(probes, lookMs);
        // One more probe, answered at the end, ends what goes on: that is how long it has been.
        const all = outagesByDefinition([...fates, { sentMs: endMs, answered: true }]).map(
          ({ sinceMs, untilMs }) => untilMs - sinceMs,
        );
        const figures = book.figures(endMs).outages;
        expect(figures.count).toBe(all.length);
        expect(figures.longestMs).toBe(Math.max(0, ...all));
        expect(figures.totalMs).toBe(all.reduce((sum, ms) => sum + ms, 0));
      }),
      { numRuns: 1000 },
    );
  });

  test("every probe is answered, lost or under way, and once only", () => {
    fc.assert(
      fc.property(plays.probes, plays.lookMs, (probes, lookMs) => {
        const { book, fates } = play(probes, lookMs);
        expect(book.sent).toBe(fates.length);
        expect(book.answered).toBe(fates.filter(({ answered }) => answered).length);
        expect(book.lost).toBe(fates.filter(({ answered }) => !answered).length);
        expect(book.underWay).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  test("one that is shorter than the interval and hits no probe is not seen; one that hits one is an interval", () => {
    const at = (sentMs: number, answered: boolean): Fate => ({ sentMs, answered });
    expect(outagesByDefinition([at(0, true), at(1000, true), at(2000, true)])).toEqual([]);
    const { told } = play(
      [
        { gapMs: 0, answersMs: [1] },
        { gapMs: 1000, answersMs: [] },
        { gapMs: 1000, answersMs: [1] },
      ],
      100,
    );
    expect(told).toEqual([{ sinceMs: 1000, untilMs: 2000, lost: 1 }]);
  });

  test("a probe that left late makes no outage, however late", () => {
    const late = [50, 50, 5000, 50, 60_000].map((gapMs) => ({ gapMs, answersMs: [1] }));
    expect(play(late, 100).told).toEqual([]);
  });

  test("a step says the same as the definition", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (answers) => {
        const fates = answers.map((answered, at) => ({ sentMs: at * 100, answered }));
        let open: ReturnType<typeof stepOutage>["open"] = null;
        const ended: Outage[] = [];
        for (const fate of fates) {
          const step = stepOutage(open, fate);
          open = step.open;
          if (step.ended !== null) ended.push(step.ended);
        }
        expect(ended).toEqual(outagesByDefinition(fates));
      }),
    );
  });
});

describe("a silence", () => {
  test("begins with the first probe after the newest that was answered", () => {
    const book = new OutageBook();
    expect(book.silentSinceMs).toBeNull();
    for (const sentMs of [100, 200, 300, 400]) book.send(sentMs, sentMs + TIMEOUT_MS);
    expect(book.silentSinceMs).toBe(100);
    expect(book.answer(2)).toEqual({ sinceMs: 100, untilMs: 300, lost: 2 });
    expect(book.silentSinceMs).toBe(400);
    expect(book.unanswered).toBe(1);
    expect(book.answer(0)).toBeNull(); // overtaken: it ends nothing
    expect(book.answer(3)).toEqual({ sinceMs: 400, untilMs: 400, lost: 0 });
    expect(book.silentSinceMs).toBeNull();
  });

  test("goes on while answers come too late", () => {
    const book = new OutageBook();
    book.send(0, 1000);
    book.send(100, 1100);
    book.answerLate(0);
    expect(book.silentSinceMs).toBe(0);
    expect([book.late, book.lost, book.answered]).toEqual([1, 1, 0]);
  });

  test("knows nothing of a probe that never left, or that something else came for", () => {
    const book = new OutageBook();
    book.send(0, 1000);
    book.dropLast();
    expect(book.silentSinceMs).toBeNull();
    expect(book.sent).toBe(0);
    book.send(100, 1100);
    book.send(200, 1200);
    book.dropLast();
    book.send(300, 1300);
    expect(book.answer(3)).toEqual({ sinceMs: 100, untilMs: 300, lost: 1 });
    book.send(400, 1400);
    book.replace(4);
    book.send(500, 1500);
    book.answer(5);
    expect(book.settle(5000)).toEqual([{ sinceMs: 100, untilMs: 300, lost: 1 }]);
    expect([book.sent, book.answered, book.lost, book.underWay]).toEqual([4, 2, 1, 0]);
  });

  test("figures of the moment: what was overtaken is lost, what is newer is under way", () => {
    const book = new OutageBook();
    for (const sentMs of [0, 100, 200, 300, 400]) book.send(sentMs, sentMs + TIMEOUT_MS);
    book.answer(0);
    book.answer(3);
    const outages = { count: 1, longestMs: 200, totalMs: 200 };
    expect(book.figures(450)).toEqual({ sent: 5, answered: 2, lost: 2, underWay: 1, late: 0, outages });
    book.answer(1); // it was only overtaken
    expect(book.figures(460)).toMatchObject({ lost: 1, outages: { count: 1, totalMs: 100 } });
  });

  test("takes no more memory than what is under way", () => {
    const book = new OutageBook();
    for (let number = 0; number < 200_000; number++) {
      book.send(number, number + 10);
      if (number % 3 !== 0) book.answer(number);
      book.settle(number);
    }
    expect(book.underWay).toBeLessThan(10);
    expect(book.figures(200_000).outages.count).toBeGreaterThan(60_000);
  });
});
