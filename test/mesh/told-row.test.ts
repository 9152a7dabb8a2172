import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { byOwnClock, readToldRow } from "../../src/diagnose/mesh/told-row.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf } from "./fixtures.ts";

/** What a member's prober answers, which may be anything. */

const known = knowledgeOf({ self: { name: "pod-1", node: "node-1" } });
known.take({ roster: rosterOf({ addresses: addresses(3) }) }, at(0));
answerAll(known, at(1));
const ROW = known.ownRow(at(2));
const pair = ROW.pairs[0]!;

const read = (change: object) => readToldRow(JSON.stringify({ ...ROW, ...change }));

test("a row is read as it was told", () => {
  const row = read({});
  if (typeof row === "string") throw new Error(row);
  expect([row.self, row.node, row.pairs.length]).toEqual(["pod-1", "node-1", 4]);
  expect(row.addresses.get("10.0.0.2")).toBe("10.0.0.2");
  expect(row.pairs[0]).toMatchObject({ to: "10.0.0.2", protocol: "tcp", up: true, sent: 2 });
});

test("fields that are added some day do no harm", () => {
  expect(read({ more: 1, pairs: [{ ...pair, more: 1 }] })).toBeObject();
});

describe("is no row", () => {
  test.each<[string, object]>([
    ["no time", { at: undefined }],
    ["another version", { version: 2 }],
    ["no name", { self: "" }],
    ["HTML for a name", { self: "<img src=x>" }],
    ["a name with control characters", { self: "pod\n1" }],
    ["a name without end", { self: "p".repeat(254) }],
    ["10,000 pairs", { pairs: new Array(10_000).fill(pair) }],
    ["10,000 members", { members: new Array(10_000).fill(ROW.members[0]) }],
    ["a count below zero", { pairs: [{ ...pair, sent: -1 }] }],
    ["a count that is no number", { pairs: [{ ...pair, lost: "1" }] }],
    ["times that are none", { pairs: [{ ...pair, rttMs: { p50: "0", p99: 1 } }] }],
    ["another protocol", { pairs: [{ ...pair, protocol: "sctp" }] }],
    ["a moment that is none", { pairs: [{ ...pair, since: "yesterday" }] }],
    ["an up that is neither", { pairs: [{ ...pair, up: "yes" }] }],
  ])("%s", (_what, change) => {
    expect(read(change)).toBe("what it answered is no row of a mesh");
  });

  test("what is no JSON, or no object", () => {
    expect(readToldRow("<html>")).toBe("what it answered is no JSON");
    for (const text of ["null", "[]", "1", '"x"', "{}"]) expect(readToldRow(text)).toBeString();
  });
});

test("words are one line of bounded length; a node's name that is none is no node", () => {
  const row = read({
    members: [{ ...ROW.members[0]!, node: "<b>" }],
    pairs: [{ ...pair, up: false, why: `a\nb\u001b[31m${"c".repeat(100_000)}` }],
  });
  if (typeof row === "string") throw new Error(row);
  expect(row.node).toBeNull();
  expect(row.pairs[0]!.why).toStartWith("a b [31mccc");
  expect(row.pairs[0]!.why!.length).toBeLessThan(700);
});

test("moments of a member whose clock is another are told by this one's", () => {
  const since = "2023-11-14T22:13:20.000Z"; // 2 ms before it was told
  const row = read({
    pairs: [
      { ...pair, since },
      { ...pair, since: null },
    ],
  });
  if (typeof row === "string") throw new Error(row);
  const sinces = (nowMs: number) => byOwnClock(row, nowMs).pairs.map((each) => each.since);
  expect(row.wallMs).toBe(at(2).wallMs);
  expect(sinces(at(2000).wallMs)).toEqual([since, null]);
  expect(sinces(at(3_600_002).wallMs)).toEqual(["2023-11-14T23:13:20.000Z", null]);
  expect(sinces(at(-3_599_998).wallMs)).toEqual(["2023-11-14T21:13:20.000Z", null]);
});

test("no text makes it throw", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void readToldRow(text)));
});
