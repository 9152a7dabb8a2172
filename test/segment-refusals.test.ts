import { expect, test } from "bun:test";
import { SegmentRefusals } from "../src/engine/linux/segment-refusals.ts";
import { HandClock } from "./rules/fixtures.ts";

/** A sockaddr as the batch holds it, for a peer that one number tells from others. */
const peer = (number: number): Int32Array => Int32Array.of(0x1234000a, 0, 0x20010db8, 0, 0, number, 0, 0);

test("a refusal is one peer's, for lengths beyond it, and is forgotten after a minute", () => {
  const clock = new HandClock();
  const refusals = new SegmentRefusals(clock);
  expect(refusals.allows(peer(1), 0, 1400)).toBe(true);
  refusals.add(peer(1), 0, 1351);
  expect(refusals.allows(peer(1), 0, 1400)).toBe(false);
  expect(refusals.allows(peer(1), 0, 1351)).toBe(true);
  for (let other = 2; other < 1000; other++) expect(refusals.allows(peer(other), 0, 1400)).toBe(true);
  clock.advance(59_999);
  expect(refusals.allows(peer(1), 0, 1400)).toBe(false);
  clock.advance(1);
  expect(refusals.allows(peer(1), 0, 1400)).toBe(true);
});

test("any number of refusals is remembered in bounded room, the latest surely", () => {
  const refusals = new SegmentRefusals(new HandClock());
  for (let at = 0; at < 10_000; at++) {
    refusals.add(peer(at), 0, 0);
    expect(refusals.allows(peer(at), 0, 1)).toBe(false);
  }
});
