import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { StreamBook } from "../../src/diagnose/watch/stream-outages.ts";

const TIMEOUT_MS = 1000;

function bookWith(...sentMs: number[]): StreamBook {
  const book = new StreamBook(TIMEOUT_MS);
  for (const ms of sentMs) book.send(ms, ms);
  return book;
}

describe("outages of a session that is held", () => {
  test("run from the sending of the first message that was late to the next byte", () => {
    const book = bookWith(0, 100, 200);
    expect(book.came(1, 2500, 2500)).toEqual({ sinceMs: 0, untilMs: 2500, lost: 0 });
    // Those behind it come a moment later: they are in the same outage.
    expect(book.came(2, 2600, 2600)).toBeNull();
    expect(book.figures(9999, 9999)).toEqual({ count: 1, longestMs: 2500, totalMs: 2500 });
    expect([book.sent, book.answered, book.late, book.lost]).toEqual([3, 3, 3, 0]);
  });

  test("are none while messages are in time, however many are on their way", () => {
    const book = bookWith(0, 100, 200);
    expect(book.silentSinceMs).toBe(0);
    expect(book.came(1, 999, 999)).toBeNull();
    expect(book.silentSinceMs).toBe(999);
    expect(book.came(2, 1000, 1000)).toBeNull();
    expect(book.silentSinceMs).toBeNull();
    expect(book.figures(5000, 5000).count).toBe(0);
  });

  test("what queues behind a late message is silent from the last byte on", () => {
    const book = bookWith(0, 100);
    book.came(1, 2500, 2500);
    expect(book.silentSinceMs).toBe(2500);
    expect(book.figures(3400, 3400).count).toBe(1);
    expect(book.came(1, 4000, 4000)).toEqual({ sinceMs: 2500, untilMs: 4000, lost: 0 });
    expect(book.figures(9999, 9999)).toEqual({ count: 2, longestMs: 2500, totalMs: 4000 });
  });

  test("a way that is slow all the time is one outage until its first byte, and none while bytes come", () => {
    const book = new StreamBook(TIMEOUT_MS);
    let outages = 0;
    for (let ms = 0; ms < 60_000; ms += 100) {
      book.send(ms, ms);
      if (ms >= 2000 && book.came(1, ms, ms) !== null) outages++;
    }
    expect(outages).toBe(1);
    expect(book.late).toBeGreaterThan(500);
  });

  test("a break with messages on their way runs from the oldest one's sending to the next session's first byte", () => {
    const book = bookWith(0, 100);
    book.broke(150);
    expect([book.lost, book.underWay, book.unanswered]).toEqual([2, 0, 2]);
    book.broke(400); // another try that failed
    expect(book.silentSinceMs).toBe(0);
    expect(book.figures(500, 500)).toEqual({ count: 1, longestMs: 500, totalMs: 500 });
    book.send(600, 600);
    expect(book.came(0, 601, 601)).toEqual({ sinceMs: 0, untilMs: 601, lost: 2 });
    expect(book.came(1, 602, 602)).toBeNull();
    expect(book.figures(9999, 9999)).toEqual({ count: 1, longestMs: 601, totalMs: 601 });
  });

  test("a break with nothing on its way runs from when it was seen", () => {
    const book = new StreamBook(TIMEOUT_MS);
    book.broke(1000);
    expect(book.came(0, 1003, 1003)).toEqual({ sinceMs: 1000, untilMs: 1003, lost: 0 });
  });

  test("one that goes on at the end is as long as it is by then", () => {
    const book = bookWith(0, 100);
    expect(book.figures(900, 900).count).toBe(0);
    expect(book.figures(5000, 5000)).toEqual({ count: 1, longestMs: 5000, totalMs: 5000 });
  });

  test("lateness is judged by a clock of its own", () => {
    const book = bookWith(0);
    expect(book.came(1, 7000, 300)).toBeNull(); // this process did not run for most of that time
    expect(book.late).toBe(0);
  });

  test("never overlap, and are never longer than all of the time", () => {
    const step = fc.record({
      passMs: fc.integer({ min: 0, max: 2500 }),
      what: fc.constantFrom("send", "send", "come", "break" as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const book = new StreamBook(TIMEOUT_MS);
        let nowMs = 0;
        let lastUntilMs = 0;
        let totalMs = 0;
        for (const { passMs, what } of steps) {
          nowMs += passMs;
          if (what === "send") book.send(nowMs, nowMs);
          if (what === "break") book.broke(nowMs);
          const silence = what === "come" ? book.came(1, nowMs, nowMs) : null;
          if (silence === null) continue;
          expect(silence.sinceMs).toBeGreaterThanOrEqual(lastUntilMs);
          expect(silence.untilMs).toBe(nowMs);
          lastUntilMs = silence.untilMs;
          totalMs += silence.untilMs - silence.sinceMs;
        }
        const figures = book.figures(nowMs, nowMs);
        expect(figures.totalMs).toBeGreaterThanOrEqual(totalMs);
        expect(figures.totalMs).toBeLessThanOrEqual(nowMs);
        expect(book.sent).toBe(book.answered + book.lost + book.underWay);
      }),
      { numRuns: 1000 },
    );
  });
});
