import { expect, test } from "bun:test";
import { History, KEPT_S } from "../../src/page/browser/history.ts";
import { PageClock } from "../../src/page/browser/page-clock.ts";
import { figureText, inWords, minuteTable } from "../../src/page/browser/plot-words.ts";
import type { PageFacts, SessionFacts } from "../../src/page/facts.ts";
import { facts, sessions } from "../browser/facts.ts";

/** What the page keeps of a server's numbers, to be plotted. */

function tcp(uptimeMs: number, figures: Partial<SessionFacts>): PageFacts {
  return facts({ uptimeMs, sessions: [sessions("TCP", figures)], containers: [] });
}

test("rates are differences over the server's own time, whenever they arrive", () => {
  const history = new History();
  history.add(tcp(10_000, { active: 1, opened: 100, refused: 0, receivedBytes: 0, sentBytes: 0 }), 50);
  history.add(
    tcp(12_000, { active: 4, opened: 110, refused: 1, receivedBytes: 2048, sentBytes: 4096 }),
    53.7,
  );
  expect(history.times).toEqual([50, 53.7]);
  const last = (["active", "opened", "refused", "receivedBytes", "sentBytes"] as const).map((figure) =>
    history.values("TCP", figure),
  );
  expect(last).toEqual([
    [1, 4],
    [null, 5],
    [null, 0.5],
    [null, 1024],
    [null, 2048],
  ]);
});

test("where nothing came is a gap, and no rate is made across it", () => {
  const history = new History();
  history.miss(1); // nothing was there yet: no gap in nothing
  history.add(tcp(2000, { opened: 10 }), 2);
  history.miss(4);
  history.miss(6);
  history.add(tcp(8000, { opened: 20 }), 8);
  history.add(tcp(10_000, { opened: 30 }), 10);
  expect(history.times).toEqual([2, 4, 8, 10]);
  expect(history.values("TCP", "opened")).toEqual([null, null, null, 5]);
  expect(history.values("TCP", "active")).toEqual([3, null, 3, 3]);
});

test("a page that slept has a gap; one that is looked at seldom has none", () => {
  const history = new History();
  history.add(tcp(0, { opened: 0 }), 0);
  history.add(tcp(10_000, { opened: 100 }), 10);
  history.add(tcp(100_000, { opened: 200 }), 100);
  expect(history.values("TCP", "opened")).toEqual([null, 10, null, null]);
  expect(history.times).toEqual([0, 10, 55, 100]);
});

test("times ascend, whatever the server's own time says of the step", () => {
  const history = new History();
  history.add(tcp(0, {}), 0);
  history.add(tcp(2000, {}), 2);
  history.add(tcp(3_602_000, {}), 4); // another server, which is older
  expect(history.times).toEqual([0, 2, 3, 4]);
});

test("a machine that slept for an hour sees it in the server's time, and shows nothing from before as if it were now", () => {
  const clock = new PageClock();
  const history = new History();
  const look = (uptimeMs: number, ownS: number): void => {
    const told = tcp(uptimeMs, {});
    clock.told(told, ownS);
    history.add(told, clock.nowS(ownS));
  };
  look(10_000, 100);
  look(12_000, 102);
  look(3_614_000, 104); // its own clock stood still
  look(3_616_000, 106);
  expect(history.times).toEqual([3704, 3706]);
  expect(clock.nowS(107)).toBe(3707);
});

test("slow answers, a server that starts anew and another server are no sleep", () => {
  const clock = new PageClock();
  clock.told({ name: "a", uptimeMs: 10_000 }, 100);
  clock.told({ name: "a", uptimeMs: 16_000 }, 101); // the one before had taken five seconds
  clock.told({ name: "a", uptimeMs: 1000 }, 130);
  clock.told({ name: "b", uptimeMs: 9_000_000 }, 132);
  expect(clock.nowS(132)).toBe(132);
});

/** What a server tells at `uptimeMs` of itself and of the container beside it, which told at `udpMs` of its own. */
function beside(uptimeMs: number, udpMs: number, udp: Partial<SessionFacts>): PageFacts {
  const [own, other] = facts().containers;
  const told = { ...other!, uptimeMs: udpMs, sessions: [sessions("UDP", udp)] };
  return facts({ uptimeMs, containers: [own!, told] });
}

test("a server that has started anew, and a container beside it that has, have no rate then", () => {
  const history = new History();
  history.add(beside(5000, 5000, { opened: 50 }), 1);
  history.add(beside(1000, 7000, { opened: 60 }), 3); // this server
  history.add(beside(3000, 1000, { opened: 70 }), 5); // the other one, whatever it has had since
  history.add(beside(5000, 3000, { opened: 80 }), 7);
  expect(history.protocols).toEqual(["TCP", "UDP"]);
  expect(history.values("UDP", "opened")).toEqual([null, 5, null, 5]);
  expect(history.values("TCP", "opened")).toEqual([null, null, 0, 0]);
});

test("a container is as old as what it told, not as the page that brought it", () => {
  const history = new History();
  history.add(beside(1000, 1000, { opened: 0 }), 1);
  history.add(beside(3000, 3000, { opened: 20 }), 3);
  history.add(beside(5000, 3000, { opened: 20 }), 5); // what was kept of it
  history.add(beside(7000, 7000, { opened: 60 }), 7);
  expect(history.values("UDP", "opened")).toEqual([null, 10, 10, 10]);
});

test("one counter that has gone back tells that a container has started anew, however far the others have come", () => {
  const history = new History();
  history.add(beside(1000, 1000, { opened: 1, refused: 9, receivedBytes: 5, sentBytes: 5 }), 1);
  history.add(beside(3000, 2000, { opened: 8, refused: 0, receivedBytes: 90, sentBytes: 90 }), 3);
  expect(history.values("UDP", "refused")).toEqual([null, null]); // not a rate below 0
  expect(history.values("UDP", "opened")).toEqual([null, null]);
});

test("the server's own numbers are there where the containers that were named leave it out", () => {
  const history = new History();
  const [, udp] = facts().containers;
  history.add(facts({ sessions: [sessions("TCP", { active: 5 })], containers: [udp!] }), 1);
  expect(history.values("TCP", "active")).toEqual([5]);
});

test("a container that does not answer is not measured, not at 0", () => {
  const history = new History();
  const [own, other] = facts().containers;
  history.add(facts({ uptimeMs: 0 }), 0);
  history.add(facts({ uptimeMs: 2000, containers: [own!, { ...other!, state: null, sessions: [] }] }), 2);
  expect(history.values("UDP", "active")).toEqual([7, null]);
  expect(inWords(history, "UDP", "active")).toBe("UDP not measured now, at most 7");
  expect(inWords(history, "UDP", "opened")).toBe("UDP not measured yet");
});

test("ten minutes are kept, and no more", () => {
  const history = new History();
  for (let atS = 0; atS <= 2000; atS += 2) history.add(tcp(atS * 1000, { opened: atS }), atS);
  expect([history.times[0], history.times.length]).toEqual([2000 - KEPT_S, KEPT_S / 2 + 1]);
});

test("figures are short, and what is not 0 does not read as 0", () => {
  const texts = [0, 0.04, 0.5, 1, 9.87, 12.3, 9999, 12_345, 1_234_567].map((value) =>
    figureText("opened", value),
  );
  expect(texts).toEqual(["0", "0.04", "0.5", "1", "9.9", "12", "9999", "12.3 k", "1230 k"]);
  expect(figureText("sentBytes", 1536)).toBe("1.5 KiB");
});

test("the table has a row for each minute, with its mean", () => {
  const history = new History();
  for (let atS = 0; atS <= 120; atS += 2)
    history.add(tcp(atS * 1000, { active: atS <= 60 ? 2 : 10, opened: 10 * atS }), atS);
  const rows = minuteTable(history, 120).match(/<tr><th scope="row">.*<\/tr>/g)!;
  const cells = rows.map((row) => [...row.matchAll(/<t[hd][^>]*>([^<]*)/g)].map(([, text]) => text));
  expect(cells.map((row) => row.slice(0, 3))).toEqual([
    ["last minute", "10", "10"],
    ["1 min before", "2", "10"],
    ["2 min before", "2", "not measured"],
  ]);
});
