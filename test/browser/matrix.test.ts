import { afterAll, beforeAll, expect, test } from "bun:test";
import type { MeshPair, MeshResult } from "../../src/diagnose/mesh/result.ts";
import { until } from "../harness.ts";
import { Chromium } from "./chromium.ts";
import { type Change, down, facts, member, mesh, nodeDown, podName, unknown } from "./facts.ts";
import { FakeServer } from "./fake-server.ts";
import type { Tab } from "./tab.ts";

/** The mesh's matrix in a real browser, updated by the page's own script. */

let chromium: Chromium;
beforeAll(async () => {
  chromium = await Chromium.start();
});
afterAll(async () => {
  await chromium[Symbol.asyncDispose]();
});

function serve(first: MeshResult): FakeServer {
  const server = new FakeServer(() => facts({ mesh: true }));
  server.mesh = () => first;
  return server;
}

async function open(server: FakeServer): Promise<Tab> {
  const tab = await chromium.open();
  await tab.size(1200, 900);
  await tab.goto(server.url());
  return tab;
}

/** Until the page's script has shown this result, or a later one. */
async function shows(tab: Tab, { at }: MeshResult): Promise<void> {
  const time = at.slice(11, 19);
  await until(`the matrix of ${time}`, async () => ((await tab.text("#matrix")) ?? "").includes(time));
}

interface Shown {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** Every cell as whoever reads it hears it. */
function cellsOf(tab: Tab): Promise<Shown[]> {
  return tab.ask(`[...document.querySelectorAll(".matrix > table > tbody > tr")].flatMap((row) =>
    [...row.querySelectorAll(":scope > td")].map((cell) => ({
      from: row.querySelector("th").firstChild.data,
      to: document.querySelector(".matrix thead tr").cells[cell.cellIndex].firstChild.data,
      text: (cell.querySelector("button") ?? cell).textContent.replace(/\\s+/g, " ").trim(),
    })))`);
}

/** What a cell must say of its pairs, made of the JSON by nothing of the page's code. */
function expected(result: MeshResult, from: string, to: string): string {
  const pairs = result.pairs.filter((pair) => pair.from === from && pair.to === to);
  if (pairs.length > 0) return pairs.map(pairText).join("");
  const asks = result.members.find(({ name }) => name === from)!;
  const asked = result.members.find(({ name }) => name === to)!;
  if (from === to) return "itself";
  if (asked.address === null) return "?unknown: no address";
  return asks.row ? "not assigned" : "?unknown: row not told";
}

function pairText({ protocol, up, rttMs, sent, lost }: MeshPair): string {
  const [sign, word] = up === null ? ["?", "unknown"] : up ? ["✓", "up"] : ["✗", "down"];
  const rtt = rttMs === null ? "" : ` ${rttMs.p50} ms`;
  const loss = sent === 0 ? "" : ` ${Math.round((1000 * lost) / sent) / 10} %`;
  return `${sign} ${protocol.toUpperCase()} ${word}${rtt}${loss}`;
}

function expectSame(shown: readonly Shown[], result: MeshResult): void {
  const names = result.members.map(({ name }) => name);
  const all = names.flatMap((from) => names.map((to) => ({ from, to, text: expected(result, from, to) })));
  expect(shown).toEqual(all);
}

/** Fifty members: one is dead, one has no address, one pair is down by UDP alone, one loses datagrams. */
function fifty(tick: number): MeshResult {
  const members = Array.from({ length: 50 }, (_, at) =>
    member(at + 1, at === 20 ? { row: false } : at === 44 ? { address: null, row: null } : {}),
  );
  const change: Change = (pair) => {
    if (pair.from === podName(45)) return null;
    if (pair.from === podName(21)) return unknown("its row did not come in 1 s");
    if (pair.to === podName(45)) return unknown("it has no address");
    if (pair.to === podName(21)) return down(pair);
    if (pair.from === podName(3) && pair.to === podName(6) && pair.protocol === "udp") return down(pair);
    return pair.to === podName(31) && pair.protocol === "udp" ? { lost: 3 } : {};
  };
  return mesh(members, 10, change, tick);
}

test("of fifty members is the JSON, cell by cell, and stays so as it changes", async () => {
  await using server = serve(fifty(1));
  await using tab = await open(server);
  expectSame(await cellsOf(tab), fifty(1));
  await tab.ask(`new PerformanceObserver((list) => {
    (window.longTasks ??= []).push(...list.getEntries().map(({ duration }) => duration));
  }).observe({ type: "longtask" })`);
  for (const tick of [2, 3]) {
    server.mesh = () => fifty(tick);
    await shows(tab, fifty(tick));
    expectSame(await cellsOf(tab), fifty(tick));
  }
  const long = await tab.ask<number[]>("window.longTasks ?? []");
  console.log(`tasks over 50 ms in two updates of 50 x 10 (the matrix is read in between): ${long.length}`);
  expect(tab.complaints).toEqual([]);
});

test("no figure of a cell is cut off, of a pair either that has gone down within the minute", async () => {
  const change: Change = (pair) => ({
    rttMs: { p50: 104.4, p99: 250 },
    ...(pair.to === podName(2) ? { up: false, lost: 17 } : { lost: pair.sent - 1, sent: 10_000 }),
  });
  await using server = serve(mesh([member(1), member(2), member(3)], 10, change));
  await using tab = await open(server);
  await tab.ask('document.querySelector(".matrix").scrollIntoView()');
  expect(
    await tab.ask(`[...document.querySelectorAll("td > button, .matrix .way")]
      .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ textContent }) => textContent)`),
  ).toEqual([]);
  const cells = await cellsOf(tab);
  expect(cells[1]!.text).toBe("✗ TCP down 14 %✗ UDP down 28 %");
});

test("says in words who is down and who is unknown, in this order, before the matrix", async () => {
  await using server = serve(fifty(1));
  await using tab = await open(server);
  const [three, six, gone, silent] = [3, 6, 21, 45].map(podName);
  const findings = await tab.ask<string[]>(
    '[...document.querySelectorAll(".findings li")].map((li) => li.textContent)',
  );
  expect(findings).toEqual([
    expect.stringContaining(`Nobody reaches ${gone} on node21: 10 of 10 that ask get no answer`),
    expect.stringContaining(`${three} on node3 to ${six} on node6: UDP down`),
    `${silent} on node45 has no address: whether it is up is unknown`,
    `${gone} on node21 did not tell its row: whom it reaches is unknown`,
    expect.stringMatching(/UDP up, 5 % lost \(3 of 60\); 8 other pairs over 1 %$/),
  ]);
  expect(await tab.text("#matrix [role=status]")).toBe(
    "21 down 50 members, 980 pairs: 21 down, 40 unknown, 919 up.",
  );
});

test("is gone through by the keyboard, and a cell opened by it tells all that is known", async () => {
  await using server = serve(nodeDown(1));
  await using tab = await open(server);
  server.mesh = () => nodeDown(2);
  await shows(tab, nodeDown(2)); // the script is there
  const focused = () => tab.ask<string>("document.activeElement.title");
  await tab.ask('document.querySelector(".matrix").focus()');
  await tab.press("Tab");
  expect(await focused()).toBe(`${podName(1)} on node1 → ${podName(2)} on node2`);
  await tab.press("ArrowDown"); // over the cell that is itself
  expect(await focused()).toBe(`${podName(3)} on node3 → ${podName(2)} on node2`);
  await tab.press("Enter");
  await until("details", async () => ((await tab.text(":popover-open")) ?? "").includes("Since"));
  const details = (await tab.text(":popover-open"))!;
  const pair = nodeDown(2).pairs.find(({ from, to }) => from === podName(3) && to === podName(2))!;
  expect(details).toContain(`TCP ${pair.why}`);
  expect(details.replace(/\s+/g, " ")).toContain(
    "TCP UDP State down down Since 2026-11-25 22:48:31 UTC, 1 min 33 s 2026-11-25 22:48:31 UTC, 1 min 33 s",
  );
  expect(details.replace(/\s+/g, " ")).toContain("Sent 120 60 Lost 120 (100 %) 60 (100 %) Duplicated 0 0");

  // They go on being updated, open, and the focus comes back to the cell.
  server.mesh = () => nodeDown(30);
  await until("newer details", async () => ((await tab.text(":popover-open")) ?? "").includes("2 min"));
  await tab.press("Escape");
  expect(await tab.text(":popover-open")).toBeNull();
  expect(await focused()).toBe(`${podName(3)} on node3 → ${podName(2)} on node2`);
  await tab.press("Tab");
  expect(await tab.ask('document.activeElement.closest(".matrix")')).toBeNull(); // one stop, not four
  expect(tab.complaints).toEqual([]);
});

test("the cell that arrow keys come to is seen as a whole, and not below the heads", async () => {
  await using server = serve(
    mesh(
      Array.from({ length: 20 }, (_, at) => member(at + 1)),
      19,
    ),
  );
  await using tab = await open(server);
  await until("the script's keys", () =>
    tab.ask<boolean>('document.querySelector("td > button[tabindex]") !== null'),
  );
  await tab.ask('document.querySelector(".matrix").focus()');
  await tab.press("Tab");
  const cut = `(() => {
    const box = document.querySelector(".matrix");
    const { left, top } = box.getBoundingClientRect();
    const corner = box.querySelector(".corner").getBoundingClientRect();
    const cell = document.activeElement.getBoundingClientRect();
    const bottom = Math.min(top + box.clientTop + box.clientHeight, innerHeight);
    const right = left + box.clientLeft + box.clientWidth;
    const room = [cell.left - corner.right, right - cell.right, cell.top - corner.bottom, bottom - cell.bottom];
    return room.some((pixels) => pixels < -1) ? [document.activeElement.title, ...room] : null;
  })()`;
  for (const width of [1200, 360]) {
    await tab.size(width, 700);
    for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]) {
      for (let press = 0; press < 12; press++) {
        await tab.press(key);
        expect(await tab.ask(cut)).toBeNull();
      }
    }
  }
});

test("loses members that go, gains those that come, and a cell stays the same element", async () => {
  const three = mesh([member(1), member(2), member(3)], 10, undefined, 1);
  const other = mesh([member(1), member(3), member(4)], 10, undefined, 2);
  await using server = serve(three);
  await using tab = await open(server);
  const cell = `[...document.querySelectorAll(".matrix button")].find((button) => button.title.endsWith("${podName(3)} on node3"))`;
  await tab.ask(`(window.kept = ${cell}).focus()`);
  server.mesh = () => other;
  await shows(tab, other);
  expectSame(await cellsOf(tab), other);
  expect(await tab.ask(`window.kept === ${cell} && document.activeElement === window.kept`)).toBe(true);
});

test("that does not come is said to be old, with since when, and heals", async () => {
  await using server = serve(nodeDown(1));
  await using tab = await open(server);
  server.mesh = null;
  await until("a complaint", async () => (await tab.text("#matrix-section .contact")) !== null);
  await until("since when", async () =>
    /^The mesh: not found, since \d\d:\d\d:\d\d UTC/.test((await tab.text("#matrix-section .contact")) ?? ""),
  );
  expectSame(await cellsOf(tab), nodeDown(1));
  expect(await tab.text("main > .contact")).toBeNull(); // the server itself answers
  server.mesh = () => nodeDown(2);
  await shows(tab, nodeDown(2));
  expect(await tab.ask('document.querySelector("#matrix-section .contact").hidden')).toBe(true);
});

test("opens a cell without a script", async () => {
  await using server = serve(nodeDown(1));
  await using tab = await chromium.open();
  await tab.withoutScript();
  await tab.goto(server.url());
  expect(await tab.text(".findings")).toContain(`Nobody reaches ${podName(2)} on node2`);
  expectSame(await cellsOf(tab), nodeDown(1));
  await tab.click("td > button .down");
  await until("details", async () => ((await tab.text(":popover-open")) ?? "").includes("Duplicated"));
});
