import { describe, expect, test } from "bun:test";
import { Deadline, nextDeadlineMs, sleep } from "../../src/client/deadlines.ts";
import { waitMs } from "../../src/client/linux/reactor.ts";
import { Patience, Wake } from "../../src/client/wake.ts";
import { PATIENCE_MS } from "./fixtures.ts";

const NONE = Number.POSITIVE_INFINITY;

describe("the next deadline", () => {
  test("is the earliest that is booked, however they come, move and go", () => {
    expect(nextDeadlineMs()).toBe(NONE);
    const first = new Deadline(100);
    const second = new Deadline(50);
    const never = new Deadline(NONE);
    expect(nextDeadlineMs()).toBe(50);
    second.move(200);
    expect(nextDeadlineMs()).toBe(100);
    second.move(20);
    expect(nextDeadlineMs()).toBe(20);
    second.release();
    expect(nextDeadlineMs()).toBe(100);
    first.release();
    never.release();
    expect(nextDeadlineMs()).toBe(NONE);
  });

  test("is that of one who waits, until that is over", async () => {
    const wake = new Wake();
    let found: true | null = null;
    const patience = new Patience(PATIENCE_MS);
    const waiting = wake.until(() => found, patience);
    expect(nextDeadlineMs()).toBe(patience.endMs);
    patience.renew();
    wake.notify();
    await sleep(1);
    expect(nextDeadlineMs()).toBe(patience.endMs);
    found = true;
    wake.notify();
    expect(await waiting).toBe(true);
    expect(nextDeadlineMs()).toBe(NONE);
  });

  test("is that of one who sleeps, until that is over or aborted", async () => {
    const before = performance.now();
    const short = sleep(5);
    expect(nextDeadlineMs()).toBeGreaterThanOrEqual(before + 5);
    await short;
    expect(performance.now()).toBeGreaterThanOrEqual(before + 5);
    const abort = new AbortController();
    const long = sleep(10 * PATIENCE_MS, abort.signal);
    abort.abort();
    await long;
    await sleep(10 * PATIENCE_MS, abort.signal);
    await sleep(0);
    expect(nextDeadlineMs()).toBe(NONE);
  });
});

test("a thread is blocked to the deadline, in whole ms, or for as long as it is allowed", () => {
  expect(waitMs(NONE, 50)).toBe(50);
  expect(waitMs(70, 50)).toBe(50);
  expect(waitMs(3.2, 50)).toBe(4);
  expect(waitMs(0.2, 50)).toBe(1);
  expect(waitMs(0, 50)).toBe(0);
  expect(waitMs(-7, 50)).toBe(0);
});
