#!/usr/bin/env bun
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { MeshResult } from "../src/diagnose/mesh/result.ts";
import type { ClientFacts, PageFacts } from "../src/page/facts.ts";
import { Chromium } from "../test/browser/chromium.ts";
import {
  AT,
  type Change,
  down,
  facts,
  member,
  mesh,
  podName,
  sessions,
  unknown,
} from "../test/browser/facts.ts";
import { FakeServer } from "../test/browser/fake-server.ts";
import type { Tab } from "../test/browser/tab.ts";

/** Makes the pictures of the page in docs/images, of facts that are made up and always the same: bun scripts/screenshots.ts */

const FOLDER = fileURLToPath(new URL("../docs/images/", import.meta.url));

/** A page's time goes so many times as fast: ten minutes of plots in half a minute. */
const FASTER = 20;

const CLOCK = `(() => {
  const { now } = performance;
  const wait = setTimeout;
  performance.now = () => ${FASTER} * now.call(performance);
  window.setTimeout = (work, ms) => wait(work, ms / ${FASTER});
})()`;

const ROUNDS = 300; // of two seconds each

/** A server's life, two seconds a round: sessions that come and go, a burst of refusals. */
function life(): { next: () => PageFacts; rounds: () => number } {
  let round = 0;
  const sum = { opened: 120_400, refused: 0, bytes: 7_400_000_000 };
  const next = (): PageFacts => {
    round++;
    const wave = 1 + 0.4 * Math.sin(round / 23) + 0.12 * Math.sin(round * 1.7) + 0.1 * Math.sin(round * 0.71);
    const burst = round > 190 && round < 205;
    sum.opened += Math.round(24 * wave) + (burst ? 90 : 0);
    sum.refused += burst ? 31 : 0;
    sum.bytes += Math.round(2_900_000 * wave);
    const uptimeMs = 93_784_000 + 2000 * round;
    const beside = { self: false, state: "serving", uptimeMs } as const;
    return facts({
      at: at(round),
      uptimeMs,
      mesh: true,
      containers: [
        { ...beside, self: true, name: "tcp", port: 8080, sessions: [tcp(sum, wave, burst)] },
        { ...beside, name: "udp", port: 8081, sessions: [udp(sum, wave)] },
        { ...beside, name: "mesh", port: 8082, sessions: [] },
      ],
      sessions: [tcp(sum, wave, burst)],
      clients: clientsAt(round),
    });
  };
  return { next, rounds: () => round };
}

function clientsAt(round: number): ClientFacts[] {
  const strangers = [
    ["10.244.3.9:40112", 4, 64_000],
    ["192.168.10.23:58310", 212, 5_213_411_000],
    ["10.244.2.31:49954", 1, 52],
  ] as const;
  return [
    ...strangers.map(([client, count, bytes], row) => ({
      ...{ at: at(round - 1 - 4 * row), client, protocol: "TCP" as const, sessions: count, bytes },
      ...{ open: row < 2, member: null },
    })),
    ...facts().clients!.filter(({ member }) => member !== null),
  ];
}

function at(round: number): string {
  return new Date(Date.parse(AT) + 2000 * round).toISOString();
}

interface Sum {
  readonly opened: number;
  readonly refused: number;
  readonly bytes: number;
}

function tcp({ opened, refused, bytes }: Sum, wave: number, burst: boolean) {
  const active = Math.round(310 * wave) + (burst ? 170 : 0);
  return sessions("TCP", { active, opened, refused, receivedBytes: bytes, sentBytes: bytes + 110 * opened });
}

function udp({ opened, bytes }: Sum, wave: number) {
  const [half, share] = [Math.floor(opened * 0.4), Math.floor(bytes * 0.35)];
  return sessions("UDP", {
    active: Math.round(140 * wave),
    opened: half,
    refused: 0,
    receivedBytes: share,
    sentBytes: share,
  });
}

const MEMBERS = [1, 2, 3, 4, 5].map((number) => member(number));

function meshAt(round: number, isDown: boolean): MeshResult {
  const members = MEMBERS.map((each, row) => (isDown && row === 2 ? { ...each, row: false } : each));
  const change: Change = (pair) => {
    if (isDown && pair.from === podName(3)) return unknown("its row did not come in 1 s");
    if (isDown && pair.to === podName(3)) return down(pair);
    return pair.from === podName(2) && pair.to === podName(5) && pair.protocol === "udp" ? { lost: 1 } : {};
  };
  return { ...mesh(members, 10, change, round % 7), at: at(round) };
}

async function picture(tab: Tab, name: string): Promise<void> {
  const png = await tab.screenshot();
  await Bun.write(`${FOLDER}${name}.png`, png);
  console.log(`docs/images/${name}.png: ${Math.round(png.length / 1000)} KB`);
}

/** The part of the page below this element, as high as it needs. */
async function partOf(tab: Tab, selector: string, width: number): Promise<void> {
  const height = await tab.ask<number>(
    `Math.ceil(document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect().height) + 24`,
  );
  await tab.size(width, height);
  await tab.ask(
    `scrollTo(0, document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect().top + scrollY - 12)`,
  );
}

async function settled(tab: Tab): Promise<void> {
  await tab.ask("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
}

const { next, rounds } = life();
let isDown = false;
await mkdir(FOLDER, { recursive: true });
await using chromium = await Chromium.start();
await using server = new FakeServer(next);
server.mesh = () => meshAt(rounds(), isDown);
await using tab = await chromium.open();
await tab.send("Emulation.setScrollbarsHidden", { hidden: true });
await tab.send("Page.addScriptToEvaluateOnNewDocument", { source: CLOCK });
await tab.size(1120, 860);
await tab.goto(server.url("server1.test"));
while (rounds() < ROUNDS) await Bun.sleep(50);

await settled(tab);
await picture(tab, "page");
await tab.scheme("dark");
await settled(tab);
await picture(tab, "page-dark");
await tab.scheme("light");
await partOf(tab, "#matrix-section", 1120);
await settled(tab);
await picture(tab, "matrix");
isDown = true;
const known = rounds();
while (rounds() < known + 3) await Bun.sleep(50);
await partOf(tab, "#matrix-section", 1120);
await settled(tab);
await picture(tab, "matrix-node-down");
await tab.size(360, 700, 1.5);
await tab.ask("document.querySelector('#matrix-section').scrollIntoView()");
await tab.ask("document.querySelector('.matrix').scrollTo(350, 0)");
await settled(tab);
await picture(tab, "phone");
