import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PageFacts } from "../../src/page/facts.ts";
import { until } from "../harness.ts";
import { Chromium } from "./chromium.ts";
import { facts, nodeDown, sessions } from "./facts.ts";
import { FakeServer } from "./fake-server.ts";
import type { Tab } from "./tab.ts";

/** The page in a real browser: its script against a server that a test makes up. */

let chromium: Chromium;
beforeAll(async () => {
  chromium = await Chromium.start();
});
afterAll(async () => {
  await chromium[Symbol.asyncDispose]();
});

/** A server whose time goes on by two seconds each time it is asked, with ten new sessions. */
function alive(changed: Partial<PageFacts> = {}): { facts: () => PageFacts; rounds: () => number } {
  let round = 0;
  const next = (): PageFacts => {
    round++;
    const tcp = sessions("TCP", { active: round, opened: 1000 + 10 * round, receivedBytes: 4096 * round });
    return facts({ uptimeMs: 2000 * round, sessions: [tcp], containers: [], ...changed });
  };
  return { facts: next, rounds: () => round };
}

async function open(server: FakeServer, host?: string): Promise<Tab> {
  const tab = await chromium.open();
  await tab.size(1200, 900);
  await tab.goto(server.url(host));
  return tab;
}

const ROW = "#sessions tbody tr";

test("updates its numbers without being loaded again, and keeps focus, selection, scroll and what is unfolded", async () => {
  const { facts, rounds } = alive({ mesh: true });
  await using server = new FakeServer(facts);
  server.mesh = () => nodeDown(1);
  await using tab = await open(server);
  await tab.ask(`(() => {
    window.kept = true;
    document.querySelector("#refusals-never").open = true;
    document.querySelector(".commands .copy").focus({ preventScroll: true });
    getSelection().selectAllChildren(document.querySelector("#identity dd"));
    scrollTo(0, 300);
  })()`);
  const before = await tab.text(ROW);
  const asked = rounds();
  await until("newer numbers", async () => rounds() > asked && (await tab.text(ROW)) !== before);
  expect(
    await tab.ask(`[window.kept, document.querySelector("#refusals-never").open,
      document.activeElement.className, getSelection().toString().trim(), scrollY]`),
  ).toEqual([true, true, "copy", facts().name, 300]);
  expect(server.asked.filter((path) => path === "/")).toHaveLength(1);
  expect(tab.requests.filter((url) => !url.startsWith(server.url()))).toEqual([]);
  expect(tab.complaints).toEqual([]);
});

test("says since when the server does not answer, draws a gap, and heals by itself", async () => {
  const { facts } = alive();
  await using server = new FakeServer(facts);
  await using tab = await open(server);
  await until("a rate", async () =>
    ((await tab.text("figure:nth-of-type(2) figcaption")) ?? "").includes("TCP 5,"),
  );
  const before = await tab.text(ROW);
  await server.stop();
  await until("a complaint", async () =>
    /^The server: no answer, since \d\d:\d\d:\d\d UTC\./.test((await tab.text(".contact")) ?? ""),
  );
  expect(await tab.text(ROW)).toBe(before);
  expect(await tab.text("figure figcaption")).toContain("TCP not measured now, at most");
  server.start();
  await until("newer numbers", async () => (await tab.text(ROW)) !== before);
  expect(await tab.ask('document.querySelector(".contact").hidden')).toBe(true);
  expect(tab.complaints.filter((text) => !text.includes("ERR_CONNECTION_REFUSED"))).toEqual([]);
});

test("a page that is older than its server says so, once, and goes on asking", async () => {
  const { facts } = alive();
  let isNewer = false;
  const newer = (): PageFacts => {
    const { refusals: _, ...rest } = facts();
    return rest as unknown as PageFacts;
  };
  await using server = new FakeServer(() => (isNewer ? newer() : facts()));
  await using tab = await open(server);
  await tab.ask(`new MutationObserver(() => (window.said = (window.said ?? 0) + 1))
    .observe(document.querySelector(".contact"), { childList: true, attributes: true })`);
  isNewer = true;
  await until("a complaint", async () =>
    ((await tab.text(".contact")) ?? "").includes("not known to this page: load the page again, since"),
  );
  const asked = server.asked.length;
  const said = await tab.ask("said");
  await until("more questions", async () => server.asked.length >= asked + 2);
  expect(await tab.ask("said")).toBe(said);
  isNewer = false;
  await until("it heals", () => tab.ask<boolean>('document.querySelector(".contact").hidden'));
});

test("plots sessions and rates, and tells them in words and as a table", async () => {
  await using server = new FakeServer(alive().facts);
  await using tab = await open(server);
  const captions = () =>
    tab.ask<string[]>('[...document.querySelectorAll("figcaption")].map((caption) => caption.innerText)');
  await until("rates", async () => (await captions())[1] === "New sessions a second TCP 5, at most 5");
  expect((await captions()).slice(2)).toEqual([
    "Refused a second TCP 0, at most 0",
    "Received a second TCP 2.0 KiB, at most 2.0 KiB",
    "Sent a second TCP 0 B, at most 0 B",
  ]);
  // A line of the protocol's colour, not axes alone.
  const drawn = `(() => {
    const canvas = document.querySelectorAll(".plot canvas")[1];
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4)
      if (data[at + 3] > 200 && data[at + 2] > 180 && data[at] < 60) return true;
    return false;
  })()`;
  await until("a line", () => tab.ask<boolean>(drawn));
  await tab.ask('document.querySelector("#rates").open = true');
  const headsAndRow = `[...document.querySelectorAll("#rates thead th, #rates tbody tr:first-child > *")].map((cell) => cell.innerText)`;
  await until("a table", async () => (await tab.ask<string[]>(headsAndRow)).length > 0);
  const cells = await tab.ask<string[]>(headsAndRow);
  expect([cells[2], cells[8]]).toEqual(["TCP new sessions a second", "5"]);
});

test("the words of a plot tell which line is which: each protocol has its own, told apart without colour too", async () => {
  await using server = new FakeServer(() => facts());
  await using tab = await open(server);
  const keys = () =>
    tab.ask<string[][]>(`[...document.querySelectorAll("figure:first-child .key")].map((key) => {
      const { borderTopStyle, borderTopColor } = getComputedStyle(key, "::before");
      return [key.innerText.split(" ")[0], borderTopStyle, borderTopColor];
    })`);
  await until("both", async () => (await keys()).length === 2);
  expect(await keys()).toEqual([
    ["TCP", "solid", "rgb(31, 95, 208)"],
    ["UDP", "dashed", "rgb(176, 74, 0)"],
  ]);
  // Plots in a row stand on one line, whatever their words are.
  expect(
    await tab.ask(`new Set([...document.querySelectorAll(".plot")].slice(0, 3)
      .map((plot) => Math.round(plot.getBoundingClientRect().top))).size`),
  ).toBe(1);
});

describe("a command is copied", () => {
  /** What somebody would get who pastes now. */
  async function pasted(tab: Tab): Promise<string> {
    await tab.ask(
      `(window.box = document.createElement("textarea"), document.body.append(box), box.focus())`,
    );
    await tab.edit("paste");
    return tab.ask("box.value");
  }

  // Over http a Pod's address is none.
  test.each([
    ["127.0.0.1", true],
    ["server1.test", false],
  ])("on %s, a secure context: %p", async (host, isSecure) => {
    await using server = new FakeServer(alive().facts);
    await using tab = await open(server, host);
    expect(await tab.ask("isSecureContext")).toBe(isSecure);
    await tab.allow(["clipboardReadWrite", "clipboardSanitizedWrite"]);
    await tab.click(".commands li:nth-child(2) .copy");
    await until(
      "the button says so",
      async () => (await tab.text(".commands li:nth-child(2) .copy")) === "Copied",
    );
    expect(await pasted(tab)).toBe("echo-server check server1.headless");
  });
});

test("has its numbers without a script", async () => {
  await using server = new FakeServer(() => facts({ mesh: true }));
  server.mesh = () => nodeDown(1);
  await using tab = await chromium.open();
  await tab.withoutScript();
  await tab.goto(server.url());
  expect((await tab.text(ROW))!.split(/\s+/)).toEqual([
    "TCP",
    "3",
    "1,200",
    "2",
    "45.8",
    "MiB",
    "46.0",
    "MiB",
  ]);
  expect(await tab.text("#clients")).toContain("10.244.3.9:40112");
  expect(await tab.ask('document.querySelector("#matrix").textContent')).toContain("TCP down 100 %");
  expect(await tab.ask('document.querySelector(".copy")')).toBeNull(); // what cannot work is not there
  expect(server.asked.includes("/page.json")).toBe(false);
});

describe.each(["light", "dark"] as const)("in %s", (scheme) => {
  test("all text has a contrast of 4.5 at least, and 360 pixels are wide enough", async () => {
    await using server = new FakeServer(() => facts({ mesh: true, state: "not_ready" }));
    server.mesh = () => nodeDown(1);
    await using tab = await open(server);
    await tab.scheme(scheme);
    await tab.size(360, 740);
    await until("plots", () => tab.ask<boolean>('document.querySelector(".plot canvas") !== null'));
    await tab.ask('document.querySelector("td > button").click()'); // its details are looked at, too
    expect(await tab.ask(FAINT)).toEqual([]);
    expect(await tab.ask("getComputedStyle(document.documentElement).backgroundColor")).toBe(
      scheme === "dark" ? "rgb(18, 23, 28)" : "rgb(255, 255, 255)",
    );
    expect(await tab.ask("document.documentElement.scrollWidth")).toBe(360);
  });
});

/** Texts that are too faint on what stands behind them (WCAG 2.2, 1.4.3). */
const FAINT = `(() => {
  const rgba = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length === 3 ? [...numbers, 1] : numbers;
  };
  const light = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() === "" || element.closest("script, noscript") || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(texts.currentNode.data.trim() + " " + contrast.toFixed(2));
  }
  return faint;
})()`;
