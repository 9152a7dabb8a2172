import { expect, test } from "bun:test";
import { proberLiveness } from "../../src/admin/mesh/health.ts";
import { addresses, at, knowledgeOf, rosterOf } from "./fixtures.ts";

test("a thread that tells of no probe for half a minute, or ten intervals, has hung, where there is anybody to ask", () => {
  const { book } = knowledgeOf();
  const live = (silentMs: number, intervalMs = 1000): boolean =>
    proberLiveness(book, { intervalMs, timeoutMs: 1000, lastToldMs: 0 }, silentMs).ok;
  expect(live(1_000_000)).toBe(true); // nobody to ask
  book.take({ roster: rosterOf({ addresses: addresses(2) }) }, at(0));
  expect([live(30_000), live(30_001)]).toEqual([true, false]);
  expect([live(30_001, 10_000), live(101_000, 10_000), live(101_001, 10_000)]).toEqual([true, true, false]);
  const { text } = proberLiveness(book, { intervalMs: 1000, timeoutMs: 1000, lastToldMs: 0 }, 45_000);
  expect(text).toBe("not live: no probe was told of for 45.0 s");
});
