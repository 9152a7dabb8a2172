import { describe, expect, test } from "bun:test";
import { Tracker } from "../../src/client/tracker.ts";
import { NO_COUNTS } from "./fixtures.ts";

const TIMEOUT_MS = 100;

/** A tracker with so many messages sent, one each ms from 0 on. */
function sentMany(count: number, window?: number): Tracker {
  const tracker = new Tracker(TIMEOUT_MS, window);
  for (let ms = 0; ms < count; ms++) expect(tracker.send(ms)).toBe(ms);
  return tracker;
}

describe("a message", () => {
  test("is answered up to its deadline, and late after it", () => {
    const tracker = sentMany(2);
    expect(tracker.echo(0, 100)).toBe("answered");
    expect(tracker.echo(1, 101.01)).toBe("late");
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, answered: 1, late: 1 });
  });

  test("is under way until its deadline, then lost, and no more lost once it came late", () => {
    const tracker = sentMany(2);
    tracker.settle(100);
    expect([tracker.counts.lost, tracker.underWay, tracker.nextDeadlineMs]).toEqual([0, 2, 100]);
    tracker.settle(100.5);
    expect([tracker.counts.lost, tracker.underWay, tracker.nextDeadlineMs]).toEqual([1, 1, 101]);
    tracker.settle(1000);
    expect([tracker.counts.lost, tracker.underWay, tracker.nextDeadlineMs]).toEqual([2, 0, Infinity]);
    expect(tracker.echo(1, 2000)).toBe("late");
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, late: 1, lost: 1 });
  });

  test("that the kernel saw in time is answered, though it was read after it had been counted lost", () => {
    const tracker = sentMany(1);
    tracker.settle(150);
    expect(tracker.echo(0, 99)).toBe("answered");
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 1, answered: 1 });
  });

  test("that comes again is duplicated, as often as it does", () => {
    const tracker = sentMany(1);
    expect([tracker.echo(0, 1), tracker.echo(0, 2), tracker.echo(0, 500)]).toEqual([
      "answered",
      "duplicated",
      "duplicated",
    ]);
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 1, answered: 1, duplicated: 2 });
  });

  test("that a later one overtook is reordered, the later one is not", () => {
    const tracker = sentMany(3);
    for (const number of [1, 0, 2]) tracker.echo(number, 10);
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 3, answered: 3, reordered: 1 });
  });

  test("that was never sent is foreign", () => {
    expect(sentMany(1).echo(1, 5)).toBe("foreign");
  });

  test("that came changed is corrupted, and not lost as well", () => {
    const tracker = sentMany(2);
    tracker.corrupted(1, 5);
    tracker.echo(0, 6);
    tracker.finish();
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, answered: 1, corrupted: 1, replaced: 1 });
    expect(tracker.echo(1, 7)).toBe("duplicated");
  });

  test("has its age told while it is remembered", () => {
    const tracker = sentMany(10, 8);
    for (let number = 0; number < 8; number++) tracker.echo(number, 10);
    expect(tracker.ageMs(9, 12)).toBe(3);
    expect(tracker.ageMs(10, 12)).toBeNull();
  });
});

describe("what came in a message's place", () => {
  test("takes the place of one that was under way then and never comes", () => {
    const tracker = sentMany(2);
    tracker.foreign(5);
    tracker.echo(0, 6);
    tracker.finish();
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, answered: 1, foreign: 1, replaced: 1 });
  });

  test("takes no place when all come", () => {
    const tracker = sentMany(2);
    tracker.corrupted(null, 5);
    tracker.echo(1, 6);
    tracker.echo(0, 6);
    tracker.finish();
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, answered: 2, corrupted: 1, reordered: 1 });
  });

  test("takes no place of a message sent after it came, nor of one that was lost before", () => {
    const tracker = sentMany(1);
    tracker.foreign(500);
    tracker.send(501);
    tracker.finish();
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 2, foreign: 1, lost: 2 });
  });

  test("gives the place back to a message that comes late after all", () => {
    const tracker = sentMany(1);
    tracker.foreign(5);
    tracker.settle(500);
    expect(tracker.counts.replaced).toBe(1);
    tracker.echo(0, 501);
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 1, foreign: 1, late: 1 });
  });
});

describe("memory", () => {
  test("is the window: what comes for an older message is forgotten", () => {
    const tracker = new Tracker(TIMEOUT_MS, 128);
    for (let number = 0; number < 1000; number++) {
      tracker.send(number);
      if (number !== 500) tracker.echo(number, number);
    }
    tracker.settle(2000);
    expect(tracker.echo(500, 2000)).toBe("forgotten");
    expect(tracker.echo(871, 2000)).toBe("forgotten");
    expect(tracker.echo(872, 2000)).toBe("duplicated");
    expect(tracker.counts).toEqual({
      ...NO_COUNTS,
      sent: 1000,
      answered: 999,
      lost: 1,
      forgotten: 2,
      duplicated: 1,
    });
  });

  test("grows with what is under way, so that none of that is forgotten", () => {
    const tracker = new Tracker(TIMEOUT_MS, 2);
    for (let number = 0; number < 100; number++) tracker.send(number / 10);
    for (let number = 99; number >= 0; number--) expect(tracker.echo(number, 50)).toBe("answered");
    expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: 100, answered: 100, reordered: 99 });
  });

  test("that has grown does not know again what it had forgotten", () => {
    const tracker = new Tracker(TIMEOUT_MS, 1);
    tracker.send(0);
    tracker.echo(0, 0);
    for (let number = 1; number < 4; number++) tracker.send(0);
    expect(tracker.echo(0, 0)).toBe("forgotten");
    expect(tracker.underWay).toBe(3);
  });

  test("does not grow in a run of days", () => {
    const tracker = new Tracker(TIMEOUT_MS, 64);
    const before = process.memoryUsage().rss;
    let nowMs = 0;
    for (let number = 0; number < 1_000_000; number++, nowMs += 10) {
      tracker.send(nowMs);
      if (number % 100 !== 0) tracker.echo(number, nowMs + 1);
      else if (number % 300 === 0) tracker.foreign(nowMs + 1);
    }
    tracker.finish();
    expect(tracker.counts.lost + tracker.counts.replaced).toBe(10_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(30 * 1024 * 1024);
  });
});
