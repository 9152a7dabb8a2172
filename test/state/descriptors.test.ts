import { expect, test } from "bun:test";
import {
  adminConnectionsWithin,
  sessionDescriptorsWithin,
  sessionsWithin,
} from "../../src/state/descriptors.ts";

test("the session cap fits the open-file limit", () => {
  expect(sessionsWithin(1024, 64)).toBe(896);
  expect(sessionsWithin(256, 64)).toBe(128);
  expect(sessionsWithin(64, 64)).toBe(32);
  expect(sessionsWithin(2 ** 30, 64)).toBe(2 ** 20 - 128);
  expect(sessionsWithin(20_000, 1000)).toBe(20_000 - 1064);
});

test("admin has what was wanted, but no more than a sixteenth of a small limit", () => {
  expect(adminConnectionsWithin(1024, 64)).toBe(64);
  expect(adminConnectionsWithin(200, 64)).toBe(12);
  expect(adminConnectionsWithin(200, 5)).toBe(5);
  expect(adminConnectionsWithin(64, 64)).toBe(4);
  expect(adminConnectionsWithin(8, 64)).toBe(1);
});

test("by default sessions reach their cap before they reach what is set aside, whatever the limit", () => {
  const others = 20; // what a process with one loop has open beside sessions and admin
  for (const openFiles of [64, 100, 200, 256, 512, 1000, 1024, 4096, 65_536, 1_048_576]) {
    const room = sessionDescriptorsWithin(openFiles, 64) - others;
    expect(room).toBeGreaterThanOrEqual(Math.min(sessionsWithin(openFiles, 64), 2 ** 20));
  }
  expect(sessionDescriptorsWithin(200, 64) - others).toBeGreaterThan(80);
});
