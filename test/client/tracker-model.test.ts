import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Tracker } from "../../src/client/tracker.ts";
import { NO_COUNTS } from "./fixtures.ts";

const TIMEOUT_MS = 100;

/** The same, without bounds and by looking at everything each time. */
class Model {
  readonly counts = { ...NO_COUNTS };
  readonly messages: { sentMs: number; state: "underWay" | "came" | "lost" | "replaced" | "corrupted" }[] =
    [];
  /** How many messages were sent when each came that stands for one of them. */
  places: number[] = [];
  front = 0;

  send(nowMs: number): void {
    this.settle(nowMs);
    this.messages.push({ sentMs: nowMs, state: "underWay" });
    this.counts.sent++;
  }

  settle(nowMs: number): void {
    for (const [number, message] of this.messages.entries()) {
      if (message.state !== "underWay" || nowMs - message.sentMs <= TIMEOUT_MS) continue;
      const place = this.places.findIndex((sent) => sent > number);
      message.state = place === -1 ? "lost" : "replaced";
      this.counts[message.state]++;
      if (place !== -1) this.places.splice(place, 1);
    }
  }

  echo(number: number, nowMs: number): void {
    this.settle(nowMs);
    const message = this.messages[number];
    if (message === undefined) {
      this.foreign(nowMs);
    } else if (message.state === "came" || message.state === "corrupted") {
      this.counts.duplicated++;
    } else {
      if (message.state !== "underWay") this.counts[message.state]--;
      message.state = "came";
      this.counts[nowMs - message.sentMs <= TIMEOUT_MS ? "answered" : "late"]++;
      if (number < this.front) this.counts.reordered++;
      this.front = Math.max(this.front, number + 1);
    }
  }

  corrupted(number: number | null, nowMs: number): void {
    this.settle(nowMs);
    this.counts.corrupted++;
    if (number === null) {
      this.#replaceAny();
      return;
    }
    const message = this.messages[number];
    if (message === undefined || message.state === "came" || message.state === "corrupted") return;
    if (message.state === "lost") this.counts.lost--;
    if (message.state !== "replaced") this.counts.replaced++;
    message.state = "corrupted";
  }

  foreign(nowMs: number): void {
    this.settle(nowMs);
    this.counts.foreign++;
    this.#replaceAny();
  }

  #replaceAny(): void {
    const underWay = this.messages.flatMap(({ state }, number) => (state === "underWay" ? [number] : []));
    this.places = this.places.filter((sent) => underWay.some((number) => number < sent));
    if (this.places.length < underWay.length) this.places.push(this.messages.length);
  }
}

/** What a network does to one message: when it answers, if at all, and how. */
const fate = fc.record({
  /** Between this message's sending and the next one's. */
  pauseMs: fc.oneof(fc.nat(5), fc.nat(60), fc.nat(300)),
  answers: fc.array(
    fc.record({
      delayMs: fc.oneof(fc.nat(20), fc.nat(99), fc.nat(400)),
      kind: fc.constantFrom("echo", "echo", "echo", "corrupted", "unreadable", "crossed"),
    }),
    { maxLength: 3 },
  ),
});

type Fate = typeof fate extends fc.Arbitrary<infer Value> ? Value : never;

interface Happening {
  readonly atMs: number;
  readonly apply: (to: Tracker | Model) => void;
}

/** All that happens, in the order of time; at the same time causes come before effects. */
function happenings(fates: readonly Fate[]): Happening[] {
  const all: Happening[] = [];
  let nowMs = 0;
  for (const [number, { pauseMs, answers }] of fates.entries()) {
    const sentMs = nowMs;
    all.push({ atMs: sentMs, apply: (to) => to.send(sentMs) });
    for (const { delayMs, kind } of answers) {
      const atMs = sentMs + delayMs;
      all.push({ atMs, apply: (to) => answer(to, kind, number, atMs) });
    }
    nowMs += pauseMs;
  }
  return all.sort((a, b) => a.atMs - b.atMs);
}

function answer(to: Tracker | Model, kind: string, number: number, atMs: number): void {
  if (kind === "echo") to.echo(number, atMs);
  else if (kind === "corrupted") to.corrupted(number, atMs);
  else if (kind === "unreadable") to.corrupted(null, atMs);
  else to.foreign(atMs);
}

describe("any mixture of drop, double, delay, swap, corrupt and cross", () => {
  const run = fc.array(fate, { minLength: 1, maxLength: 60 });

  test("is counted as a model counts it that remembers everything", () => {
    fc.assert(
      fc.property(run, fc.integer({ min: 0, max: 10 }), (fates, windowBits) => {
        const tracker = new Tracker(TIMEOUT_MS, Math.max(64, 2 ** windowBits));
        const model = new Model();
        for (const { apply } of happenings(fates)) {
          apply(tracker);
          apply(model);
          expect(tracker.counts).toEqual(model.counts);
        }
        tracker.finish();
        model.settle(Number.POSITIVE_INFINITY);
        expect(tracker.counts).toEqual(model.counts);
      }),
      { numRuns: 1000 },
    );
  });

  test("leaves each message in one column, whatever the window", () => {
    fc.assert(
      fc.property(run, fc.integer({ min: 1, max: 70 }), (fates, window) => {
        const tracker = new Tracker(TIMEOUT_MS, window);
        for (const { apply } of happenings(fates)) {
          apply(tracker);
          const { sent, answered, late, lost, replaced } = tracker.counts;
          expect(answered + late + lost + replaced + tracker.underWay).toBe(sent);
        }
        tracker.finish();
        expect(tracker.underWay).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  test("without any fault is all answered", () => {
    const answers: Fate["answers"] = [{ delayMs: 3, kind: "echo" }];
    const fine = fc.nat(300).map((pauseMs): Fate => ({ pauseMs, answers }));
    fc.assert(
      fc.property(fc.array(fine, { minLength: 1 }), (fates) => {
        const tracker = new Tracker(TIMEOUT_MS, 4);
        for (const { apply } of happenings(fates)) apply(tracker);
        expect(tracker.counts).toEqual({ ...NO_COUNTS, sent: fates.length, answered: fates.length });
      }),
    );
  });
});
