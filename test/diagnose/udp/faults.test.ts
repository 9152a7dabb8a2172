import { describe, expect, test } from "bun:test";
import type { CheckSettings } from "../../../src/diagnose/check/plan.ts";
import type { CheckResult, Facts, Where } from "../../../src/diagnose/result.ts";
import { freePort } from "../../client/servers.ts";
import { startServer, until } from "../../harness.ts";
import { type FaultName, startUdp } from "../../net/servers/udp.ts";
import { ask, problemOf, SETTINGS, said } from "./ask.ts";

/** What is said of servers that are wrong in one way each, by real sockets; and of right ones, nothing. */

/** Of what `SETTINGS` sends. */
const SENT = SETTINGS.flows * SETTINGS.count;
const FLOW = /^udp 127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+$/;

interface Expected {
  readonly fault: FaultName;
  readonly settings?: Partial<CheckSettings>;
  readonly code: string;
  readonly facts?: Facts & { readonly where?: Where };
  readonly says: RegExp;
  readonly likely?: RegExp;
  readonly counts: Partial<CheckResult>;
}

/** Two of ten datagrams of each flow are the third of five. */
const WRONG = SETTINGS.flows * 2;

const FAULTS: Expected[] = [
  {
    fault: "silent",
    code: "timeout",
    facts: { where: "path" },
    says: /no answer to 40 datagrams of 4 flows, each within 1\.00 s/,
    counts: { flows: 4, flowsAnswered: 0, received: 0, lost: SENT, rttMs: null },
  },
  {
    fault: "drops",
    code: "lost",
    facts: { count: WRONG, where: "path" },
    says: /^8 of 40 datagrams did not come back, here and there in 4 flows$/,
    likely: /queue/,
    counts: { flowsAnswered: 4, received: SENT - WRONG, lost: WRONG },
  },
  {
    fault: "dropsFirst",
    code: "lost",
    facts: { count: 4, where: "path" },
    says: /^4 of 40 datagrams did not come back, the first of each of 4 flows$/,
    likely: /first datagram/,
    counts: { flowsAnswered: 4, received: SENT - 4, lost: 4 },
  },
  {
    fault: "deafToEverySecond",
    code: "lost",
    facts: { count: SENT / 2, where: "path" },
    says: /^20 of 40 datagrams did not come back, all of 2 flows$/,
    likely: /backend/,
    counts: { flows: 4, flowsAnswered: 2, received: SENT / 2, lost: SENT / 2 },
  },
  {
    fault: "doubles",
    code: "duplicated",
    facts: { count: WRONG, where: "path" },
    says: /^8 answers came again/,
    counts: { received: SENT, lost: 0, duplicated: WRONG },
  },
  {
    fault: "corrupts",
    code: "corrupted",
    facts: { count: WRONG, where: "far_end" },
    says: /^8 answers to 40 datagrams/,
    counts: { received: SENT - WRONG, lost: 0, corrupted: WRONG },
  },
  {
    fault: "swaps",
    code: "foreign",
    facts: { count: 4, where: "far_end" },
    says: /^4 answers held what the flow did not send, 4 of them what another flow sent$/,
    likely: /another's/,
    counts: { received: SENT - 4, lost: 0, foreign: 4 },
  },
  {
    fault: "foreign",
    code: "foreign",
    facts: { count: SENT, where: "far_end" },
    says: /^40 answers held what the flow did not send$/,
    likely: /no echo/,
    counts: { flowsAnswered: 0, received: 0, lost: 0, foreign: SENT },
  },
  {
    fault: "greetsOnly",
    code: "lost",
    facts: { count: SENT, where: "far_end" },
    says: /all of 4 flows that got a banner$/,
    likely: /echoes nothing/,
    counts: { flowsAnswered: 0, received: 0, lost: SENT },
  },
  {
    fault: "greetsOnly",
    settings: { size: 1400 },
    code: "lost",
    facts: { count: SENT, where: "path" },
    says: /all of 4 flows that got a banner$/,
    likely: /1,400 bytes do not pass on the way back/,
    counts: { flowsAnswered: 0, received: 0, lost: SENT },
  },
];

describe("of a server that", () => {
  for (const { fault, settings = {}, code, facts, says, likely = /./, counts } of FAULTS) {
    test(`${fault}, ${settings.size ?? SETTINGS.size} bytes: ${code}, and nothing else`, async () => {
      using server = await startUdp(fault);
      const result = await ask(server.port, { settings });
      expect(said(result)).toEqual([code]);
      const problem = problemOf(result);
      expect(problem).toMatchObject(facts ?? {});
      expect(problem.says).toMatch(says);
      expect(problem.likely).toMatch(likely);
      expect(problem.flow).toMatch(FLOW);
      expect(problem.flow).toEndWith(`:${server.port}`);
      expect(problem.next).not.toBeNull();
      expect(result).toMatchObject({ ok: false, sent: SENT, ...counts });
    });
  }

  test("reorders: a note alone", async () => {
    using server = await startUdp("reorders");
    const result = await ask(server.port, { settings: { flows: 1, intervalMs: 5 } });
    expect(said(result)).toEqual(["reordered"]);
    expect(result).toMatchObject({ ok: true, received: 10, reordered: 2, lost: 0 });
    expect(result.notes.find(({ code }) => code === "reordered")).toMatchObject({ count: 2 });
  });

  test("answers from another port: both are named, and what came is received", async () => {
    using server = await startUdp("elsewhere");
    const result = await ask(server.port);
    expect(said(result)).toEqual(["other_address"]);
    const problem = problemOf(result);
    const from = `127.0.0.1:${server.otherPort}`;
    expect(problem).toMatchObject({ from, where: "far_end" });
    expect(problem.says).toBe(`40 answers to 127.0.0.1:${server.port} came from ${from}`);
    expect(result).toMatchObject({ flowsAnswered: 4, received: SENT, lost: 0, foreign: 0 });
  });

  test("floods: there is an end, and what was asked is counted right", async () => {
    using server = await startUdp("floods");
    const result = await ask(server.port, { settings: { flows: 1 } });
    expect(said(result)).toEqual(["foreign"]);
    expect(result).toMatchObject({ sent: 10, received: 10, lost: 0 });
  });

  test("nobody is: refused, once, and not lost as well", async () => {
    const port = freePort();
    const result = await ask(port);
    expect(said(result)).toEqual(["refused"]);
    expect(problemOf(result)).toMatchObject({ by: null, where: "far_end" });
    expect(problemOf(result).says).toContain("4 of 4 flows were refused");
    expect(problemOf(result).flow).toMatch(FLOW);
    expect(result).toMatchObject({
      flows: 4,
      flowsAnswered: 0,
      sent: SENT,
      received: 0,
      lost: SENT,
      servers: null,
    });
  });
});

describe("of a server that is right", () => {
  test("nothing is said, and every field has what was measured", async () => {
    await using server = await startServer();
    const shares: number[] = [];
    const result = await ask(server.udpPort, { progress: (share) => void shares.push(share) });
    const end = `127.0.0.1:${server.udpPort}`;
    const { rttMs, notes, ...rest } = result;
    expect(rest).toEqual({
      target: `udp://${end}`,
      protocol: "udp",
      name: end,
      address: "127.0.0.1",
      port: server.udpPort,
      ok: true,
      resolveMs: null,
      flows: 4,
      flowsAnswered: 4,
      servers: [{ server: end, pod: null, node: null, flows: 4 }],
      source: { own: "127.0.0.1", seen: ["127.0.0.1"], addressTranslated: false, portTranslated: false },
      destination: { asked: end, translated: false },
      connectMs: null,
      firstByteMs: null,
      sent: SENT,
      received: SENT,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      corrupted: 0,
      foreign: 0,
      synRetransmits: null,
      halfClose: null,
      bulkBytes: null,
      tcp: null,
      hops: null,
      mtu: null,
      problems: [],
    });
    expect(rttMs!.min).toBeGreaterThan(0);
    expect(rttMs!.min).toBeLessThanOrEqual(rttMs!.p50);
    expect(rttMs!.p99).toBeLessThanOrEqual(rttMs!.max);
    expect(notes.map(({ code, says }) => [code, says.includes("needs Linux")])).toEqual([
      ["not_measured", true],
    ]);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });

  test("over IPv6, with payloads of 1 byte and of 65,507", async () => {
    await using server = await startServer(["--host", "::1"]);
    for (const size of [1, 65_507]) {
      const result = await ask(`[::1]:${server.udpPort}`, { settings: { size, flows: 2 } });
      expect([size, said(result)]).toEqual([size, []]);
      expect(result).toMatchObject({ address: "::1", received: 20, source: { own: "::1", seen: ["::1"] } });
    }
  });

  test("without a banner, nothing but that who answered is not known", async () => {
    using server = await startUdp("none");
    const result = await ask(server.port);
    expect(said(result)).toEqual([]);
    expect(result).toMatchObject({ ok: true, flows: 4, received: SENT, servers: null });
    expect(result.source).toEqual({
      own: "127.0.0.1",
      seen: null,
      addressTranslated: null,
      portTranslated: null,
    });
    expect(result.destination.translated).toBeNull();
  });

  test("with more flows than are asked at once, each is asked, from a port of its own", async () => {
    await using server = await startServer();
    const result = await ask(server.udpPort, { settings: { flows: 25, count: 2 } });
    expect(said(result)).toEqual([]);
    expect(result).toMatchObject({ flows: 25, flowsAnswered: 25, sent: 50, received: 50 });
    expect(result.servers).toMatchObject([{ flows: 25 }]);
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_opened_total", { protocol: "udp" })).toBe(25);
  });
});

describe("a source port", () => {
  test("is that of one flow, which has its banner the first time alone", async () => {
    await using server = await startServer();
    const port = freePort();
    const first = await ask(server.udpPort, { settings: { source: { port } } });
    expect(said(first)).toEqual([]);
    expect(first).toMatchObject({ flows: 1, sent: 10, received: 10, servers: [{ flows: 1 }] });
    const again = await ask(server.udpPort, { settings: { source: { port } } });
    expect(said(again)).toEqual([]);
    expect(again).toMatchObject({ ok: true, flows: 1, servers: null });
    expect(again.notes.map(({ says }) => says).join("\n")).toContain(
      `source port ${port} may have had its banner`,
    );
  });

  test("that is another's is none here", async () => {
    using server = await startUdp("none");
    const result = await ask(server.port, { settings: { source: { port: server.otherPort } } });
    expect(said(result)).toEqual(["no_ports_here"]);
    expect(problemOf(result)).toMatchObject({ where: "this_machine", flow: null });
    expect(problemOf(result).says).toBe(`source port ${server.otherPort} is in use on this machine`);
    expect(result).toMatchObject({ ok: false, flows: 0, sent: 0 });
  });

  test("whose session lives on at the server makes place for another", async () => {
    using server = await startUdp("greetsEverySecond");
    const result = await ask(server.port);
    expect(result).toMatchObject({ ok: true, flows: 4, flowsAnswered: 4, sent: SENT, received: SENT });
    expect(result.servers).toEqual([{ server: "127.0.0.1:7", pod: null, node: null, flows: 4 }]);
  });
});

describe("a source address", () => {
  test("is where the flows come from", async () => {
    await using server = await startServer();
    const { address } = (await import("../fixtures.ts")).end("127.0.0.9:0");
    const result = await ask(server.udpPort, { settings: { source: { address } } });
    expect(said(result)).toEqual([]);
    expect(result.source).toMatchObject({ own: "127.0.0.9", seen: ["127.0.0.9"], addressTranslated: false });
  });

  test("that is not this machine's is said to be so", async () => {
    const { address } = (await import("../fixtures.ts")).end("203.0.113.7:0");
    const result = await ask(9, { settings: { source: { address } } });
    expect(said(result)).toEqual(["unreachable"]);
    expect(problemOf(result)).toMatchObject({ by: null, where: "this_machine", next: "ip address" });
  });
});

test("given up by its owner, it ends at once, and what is under way is not lost", async () => {
  using server = await startUdp("silent");
  const abort = new AbortController();
  let sent = 0;
  const asking = ask(server.port, {
    settings: { timeoutMs: 60_000 },
    signal: abort.signal,
    progress: () => void sent++,
  });
  await until("it has sent something", () => sent > 0);
  abort.abort();
  const result = await asking;
  expect(result).toMatchObject({ ok: false, received: 0, lost: 0, problems: [] });
  expect(result.notes.map(({ says }) => says).join("\n")).toContain("interrupted");
});
