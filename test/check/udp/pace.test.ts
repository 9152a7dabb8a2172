import { describe, expect, test } from "bun:test";
import { Tracker } from "../../../src/client/tracker.ts";
import { FlowPace, type PaceState } from "../../../src/diagnose/check/udp/pace.ts";

/** When a flow sends and when it ends. No clock. */

const OPTIONS = { count: 3, intervalMs: 10, timeoutMs: 500 };

function state(tracker: Tracker, more: Partial<PaceState> = {}): PaceState {
  return { tracker, told: false, hopeless: false, echoAtMs: null, largestRoundTripMs: null, ...more };
}

/** A flow that has sent, and the tracker that knows of it. */
function sent(...times: number[]): { pace: FlowPace; tracker: Tracker } {
  const pace = new FlowPace(OPTIONS);
  const tracker = new Tracker(OPTIONS.timeoutMs);
  for (const each of times) {
    pace.sentAt(each);
    tracker.send(each);
  }
  return { pace, tracker };
}

describe("a flow sends", () => {
  test("its first message at once", () => {
    expect(new FlowPace(OPTIONS).nextSendMs(false)).toBe(Number.NEGATIVE_INFINITY);
  });

  test("one alone until an answer came, or the first message's time is up", () => {
    const { pace } = sent(1000);
    expect(pace.nextSendMs(false)).toBe(1500);
    expect(pace.nextSendMs(true)).toBe(1010);
  });

  test("each interval from then on, whatever comes", () => {
    const { pace } = sent(1000, 1500);
    expect(pace.nextSendMs(false)).toBe(1510);
    expect(pace.nextSendMs(true)).toBe(1510);
  });

  test("no burst where it was late", () => {
    expect(sent(1000, 1700).pace.nextSendMs(true)).toBe(1710);
  });

  test("no more than it was to", () => {
    expect(sent(1, 11, 21).pace.nextSendMs(true)).toBe(Number.POSITIVE_INFINITY);
  });

  test("with an interval longer than its messages' time, at the interval", () => {
    const pace = new FlowPace({ ...OPTIONS, intervalMs: 2000 });
    pace.sentAt(0);
    expect(pace.nextSendMs(false)).toBe(2000);
  });
});

describe("a flow ends", () => {
  test("not before all is sent", () => {
    const { pace, tracker } = sent(1000, 1010);
    expect(pace.endMs(state(tracker))).toBe(Number.POSITIVE_INFINITY);
  });

  test("with the deadline of what is missing", () => {
    const { pace, tracker } = sent(1000, 1010, 1020);
    tracker.echo(0, 1001);
    expect(pace.endMs(state(tracker, { echoAtMs: 1001 }))).toBe(1510);
    tracker.settle(1511);
    expect(pace.endMs(state(tracker, { echoAtMs: 1001 }))).toBe(1520);
  });

  test("a while after the last answer, longer where answers are slow", () => {
    const { pace, tracker } = sent(1000, 1010, 1020);
    for (const number of [0, 1, 2]) tracker.echo(number, 1021);
    expect(pace.endMs(state(tracker, { echoAtMs: 1021, largestRoundTripMs: 5 }))).toBe(1121);
    expect(pace.endMs(state(tracker, { echoAtMs: 1021, largestRoundTripMs: 50 }))).toBe(1171);
  });

  test("soon after the last message where ICMP alone told", () => {
    const { pace, tracker } = sent(1000, 1010, 1020);
    expect(pace.endMs(state(tracker, { told: true, hopeless: true }))).toBe(1120);
  });

  test("at once where all time is up and nothing ever came", () => {
    const { pace, tracker } = sent(1000, 1500, 1510);
    tracker.settle(2011);
    expect(pace.endMs(state(tracker))).toBe(Number.NEGATIVE_INFINITY);
  });
});
