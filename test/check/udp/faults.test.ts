import { describe, expect, test } from "bun:test";
import type { CheckSettings } from "../../../src/diagnose/check/plan.ts";
import type { CheckResult, VerdictFields, Where } from "../../../src/diagnose/result.ts";
import { freePort } from "../../client/servers.ts";
import { type FaultName, startUdp } from "../../net/servers/udp.ts";
import { problemOf, SETTINGS, said, WAYS } from "./ask.ts";

/** What is said of servers that are wrong in one way each, by real sockets. */

/** Of what `SETTINGS` sends. */
const SENT = SETTINGS.flows * SETTINGS.count;
const FLOW = /^udp 127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+$/;

/** Who refuses, as far as each way can tell. */
const BY: Readonly<Record<string, string | null>> = { "system calls": "127.0.0.1", "Bun alone": null };

interface Expected {
  readonly fault: FaultName;
  readonly settings?: Partial<CheckSettings>;
  readonly code: string;
  readonly facts?: VerdictFields & { readonly where?: Where };
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
    fault: "misdelivers",
    code: "foreign",
    facts: { count: 2, where: "far_end" },
    says: /^2 answers held what the flow did not send, 2 of them what another flow sent$/,
    counts: { received: SENT - 2, lost: 0, foreign: 2 },
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

for (const [way, ask] of WAYS) {
  describe(`by ${way}, of a server that`, () => {
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
      expect(problemOf(result)).toMatchObject({ by: BY[way]!, where: "far_end" });
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
}
