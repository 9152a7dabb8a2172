import { describe, expect, test } from "bun:test";
import type { EventLine, SummaryLine } from "../../src/diagnose/watch/line.ts";
import { Screen } from "../../src/diagnose/watch/screen.ts";
import { Servers, serverOf } from "../../src/diagnose/watch/servers.ts";
import type { StatusRow } from "../../src/diagnose/watch/status.ts";
import { summaryText, verdictOf } from "../../src/diagnose/watch/summary.ts";
import { EventTexts } from "../../src/diagnose/watch/text.ts";
import { A, B, bannerOf } from "./fixtures.ts";

/** A terminal of so many columns that remembers what is left to see. */
class Terminal {
  waitingBytes = 0;
  written = "";

  write(text: string): void {
    this.written += text;
  }

  /** Lines on it, after all that moved the cursor up and cleared. */
  get lines(): string[] {
    let lines: string[] = [];
    for (const part of this.written.split("\x1b[J")) {
      const [text, up] = part.split("\x1b[");
      lines.push(...text!.split("\n").slice(0, -1));
      if (up !== undefined) lines = lines.slice(0, lines.length - Number.parseInt(up, 10));
    }
    return lines;
  }
}

const row = (flow: StatusRow["flow"], says: string): StatusRow => ({ target: "t", flow, isWell: true, says });

describe("a screen", () => {
  test("shows the log, and below it each flow's status, redrawn in place", () => {
    const terminal = new Terminal();
    const screen = new Screen(terminal, () => [80, 24]);
    screen.log("first");
    screen.status([row("udp-fixed", "one"), row("udp-new", "two")]);
    screen.log("second\nthird");
    screen.status([row("udp-fixed", "three"), row("udp-new", "four")]);
    expect(terminal.lines).toEqual([
      "first",
      "second",
      "third",
      "  udp-fixed      three",
      "  udp-new        four",
    ]);
    screen.clear();
    screen.log("the end");
    expect(terminal.lines).toEqual(["first", "second", "third", "the end"]);
  });

  test("cuts a status that would wrap, by the columns that the terminal has now", () => {
    const terminal = new Terminal();
    let columns = 40;
    const screen = new Screen(terminal, () => [columns, 24]);
    screen.status([row("udp-fixed", "x".repeat(100))]);
    expect(terminal.lines[0]).toHaveLength(39);
    columns = 30;
    screen.status([row("udp-fixed", "x".repeat(100))]);
    expect(terminal.lines).toHaveLength(1);
    expect(terminal.lines[0]).toHaveLength(29);
  });

  test("keeps room for the log: of too many flows those first that are not well", () => {
    const terminal = new Terminal();
    const screen = new Screen(terminal, () => [80, 8]);
    const rows = Array.from({ length: 50 }, (_, at) => row("udp-fixed", `flow ${at}`));
    screen.status(rows.map((each, at) => ({ ...each, isWell: at !== 40 })));
    expect(terminal.lines).toEqual([
      "! udp-fixed      flow 40",
      "  udp-fixed      flow 0",
      "  udp-fixed      flow 1",
      "  and 47 other flows",
    ]);
  });

  test("draws no status for a terminal that was stopped, or that is none", () => {
    const terminal = new Terminal();
    terminal.waitingBytes = 10;
    new Screen(terminal, () => [80, 24]).status([row("udp-fixed", "one")]);
    const screen = new Screen(terminal, () => null);
    screen.status([row("udp-fixed", "one")]);
    screen.clear();
    expect(terminal.written).toBe("");
  });
});

const line = (more: Partial<EventLine>): EventLine => ({
  at: 1,
  time: "2026-11-26T04:00:00.123Z",
  target: "udp://echo-server",
  address: "10.96.0.7",
  flow: "udp-fixed",
  event: "silent",
  says: "for 1.00 s",
  ends: "udp 10.0.0.9:40000 > 10.96.0.7:5678",
  ...more,
});

describe("a line for a person", () => {
  test("has the time, the flow, the event and words; the cause once for all flows that have it", () => {
    const texts = new EventTexts(false);
    const cause = { likely: "a link is down", next: "echo-server check udp://echo-server" };
    const first = texts.of(line(cause)).split("\n");
    expect(first[0]).toMatch(/^\d\d:\d\d:00\.123 {2}udp-fixed {6}silent {7}for 1\.00 s$/);
    expect(first.slice(1).map((text) => text.trim())).toEqual([
      "likely: a link is down",
      "next:   echo-server check udp://echo-server",
      "flow:   udp 10.0.0.9:40000 > 10.96.0.7:5678",
    ]);
    expect(texts.of(line({ ...cause, flow: "udp-connected", at: 1.1 })).split("\n")).toHaveLength(2);
    expect(texts.of(line({ ...cause, at: 60 })).split("\n")).toHaveLength(4);
    expect(new EventTexts(true).of(line({ event: "back" }))).toContain("  udp://echo-server  udp-fixed");
  });
});

describe("names of Pods and IPv6 addresses are long, and no line is", () => {
  const FROM =
    "[fd44:0:0:1:a8bb:ccff:fedd:1001]:5678 (echo-server-server1-6d5f8b7c9d-x2x4z on worker-node-1)";
  const TO = "[fd44:0:0:2:a8bb:ccff:fedd:2002]:5678 (echo-server-server2-7c9d8f6b5c-abcde on worker-node-2)";
  const says = `from ${FROM} to ${TO} after 2.10 s of silence`;
  const words = (text: string): string => text.replace(/\s+/g, " ");

  test.each([
    [false, "udp://echo-server"],
    [true, "udp://server1.headless.echo-server.svc.cluster.local:5678"],
  ])("of an event, with its target: %p", (withTarget, target) => {
    const likely =
      "no room for new entries on the path (a full conntrack table), or new flows go to a server that is dead";
    const text = new EventTexts(withTarget).of(line({ event: "moved", target, says, likely }));
    for (const each of text.split("\n")) expect(each.length).toBeLessThanOrEqual(100);
    expect(words(text)).toContain(says); // all of it, each word whole
    expect(words(text)).toContain(`likely: ${likely}`);
    // A log is read by what stands first: only the line that begins an event has a time there.
    expect(text.split("\n").filter((each) => !each.startsWith(" ".repeat(14)))).toHaveLength(1);
  });

  test("of a summary", () => {
    const server = {
      server: "[fd44:0:0:1:a8bb:ccff:fedd:1001]:5678",
      pod: "echo-server-server1-6d5f8b7c9d-x2x4z",
    };
    const servers = [{ ...server, node: "worker-node-1", from: 0, to: 60 }];
    const figures = flow({ count: 0, longestMs: 0, totalMs: 0 });
    const text = summaryText(summary({ flows: { "udp-fixed": { ...figures, servers } } }));
    for (const each of text.split("\n")) expect(each.length).toBeLessThanOrEqual(100);
    expect(words(text)).toContain("x2x4z on worker-node-1) from 0.0 s to 60.0 s");
  });
});

const flow = (outages: { count: number; longestMs: number; totalMs: number }, answered = 566) => ({
  ...{
    sent: 600,
    answered,
    lost: 600 - answered,
    underWay: 0,
    late: 0,
    duplicated: 0,
    corrupted: 0,
    foreign: 0,
  },
  outages,
  servers: [{ server: A, pod: "server1-abc", node: "node1", from: 0, to: 60 }],
  serversForgotten: 0,
  rttMs: { min: 0.05, p50: 0.08, p99: 0.2, max: 0.31 },
});

const summary = (more: Partial<SummaryLine>): SummaryLine => ({
  at: 60,
  time: "2026-11-26T04:00:00.123Z",
  target: "udp://echo-server",
  address: "10.96.0.7",
  event: "summary",
  final: true,
  seconds: 60,
  flows: { "udp-fixed": flow({ count: 1, longestMs: 3420, totalMs: 3420 }) },
  problems: {},
  stalls: { count: 0, longestMs: 0, totalMs: 0 },
  ...more,
});

describe("a summary", () => {
  test("is a table in 100 columns, with who answered from when to when", () => {
    const text = summaryText(
      summary({ problems: { corrupted: 3 }, stalls: { count: 2, longestMs: 300, totalMs: 500 } }),
    );
    const lines = text.split("\n");
    for (const each of lines) expect(each.length).toBeLessThanOrEqual(100);
    expect(text).toMatch(/udp-fixed +600 +566 +34 +1 +3\.42 s +3\.42 s/);
    expect(text).toContain(`${A} (server1-abc on node1) from 0.0 s to 60.0 s`);
    expect(text).toContain("corrupted 3");
    expect(text).toMatch(/too busy.*2 times.*no outages/);
  });

  test("decides: an outage longer than was allowed, any other problem, no answer at all", () => {
    const out = (longestMs: number) =>
      summary({ flows: { "udp-fixed": flow({ count: 1, longestMs, totalMs: longestMs }) } });
    expect(verdictOf([out(100)], 0)).toBe("problem");
    expect(verdictOf([out(100)], 100)).toBe("well");
    expect(verdictOf([out(101), out(1)], 100)).toBe("problem");
    const well = { "udp-fixed": flow({ count: 0, longestMs: 0, totalMs: 0 }, 600) };
    expect(verdictOf([summary({ flows: well })], 0)).toBe("well");
    expect(verdictOf([summary({ flows: well, problems: { foreign: 1 } })], 60_000)).toBe("problem");
    expect(
      verdictOf([summary({ flows: { "udp-fixed": flow({ count: 1, longestMs: 1, totalMs: 1 }, 0) } })], 9),
    ).toBe("no_answer");
  });
});

describe("who answered from when to when", () => {
  test("one after another of a held flow, side by side of new ones", () => {
    for (const follow of [true, false]) {
      const servers = new Servers(follow);
      for (const [at, server] of [A, A, B, A].entries())
        servers.answered(serverOf(bannerOf(server)), at * 1000);
      expect(servers.spans(0).map(({ server, from, to }) => [server, from, to])).toEqual(
        follow
          ? [
              [A, 0, 1],
              [B, 2, 2],
              [A, 3, 3],
            ]
          : [
              [A, 0, 3],
              [B, 2, 2],
            ],
      );
    }
  });

  test("is bounded, however many there were; the latest are kept", () => {
    const servers = new Servers(true);
    for (let at = 0; at < 1000; at++)
      servers.answered(serverOf(bannerOf(`10.0.${at >> 8}.${at & 255}:1`)), at);
    expect(servers.spans(0)).toHaveLength(100);
    expect(servers.forgotten).toBe(900);
    expect(servers.spans(0).at(-1)!.server).toBe("10.0.3.231:1");
  });
});
