import { describe, expect, test } from "bun:test";
import type { CheckResult } from "../../src/diagnose/result.ts";
import { check, checkOne, checkText, noteOf, notesOf, problemsOf, QUICK } from "./check.ts";
import { CLIENT, type Lab, POD, SERVER1, SERVER2 } from "./lab.ts";
import { badServer, socat } from "./serve.ts";

/** Paths that are well: what is measured of them, and that nothing is claimed that is not so. */
export function wellTests(lab: () => Lab): void {
  describe.each(["v4", "v6"] as const)("a path that is well, %s", (family) => {
    const address = SERVER1[family];
    const host = family === "v4" ? address : `[${address}]`;

    test("over UDP has these figures, and neither problem nor note", async () => {
      const result = await checkOne(lab().client, [`udp://${host}`, ...QUICK]);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({ problems: [], notes: [] });
      expect(result).toMatchObject({
        ...{ target: `udp://${host}`, protocol: "udp", name: address, address, port: 5678, ok: true },
        ...{ resolveMs: null, flows: 3, flowsAnswered: 3 },
        servers: [{ server: `${host}:5678`, ...POD, flows: 3 }],
        source: {
          ...{ own: CLIENT[family], seen: [CLIENT[family]] },
          ...{ addressTranslated: false, portTranslated: false },
        },
        destination: { asked: `${host}:5678`, translated: false },
        ...{
          connectMs: null,
          firstByteMs: null,
          synRetransmits: null,
          halfClose: null,
          bulkBytes: null,
          tcp: null,
        },
        ...{ sent: 15, received: 15, lost: 0, duplicated: 0, reordered: 0, corrupted: 0, foreign: 0 },
        ...{ hops: { there: null, back: 1 }, mtu: null },
      });
      inOrder(result.rttMs);
    });

    test("over TCP has these figures, and neither problem nor note", async () => {
      const result = await checkOne(lab().client, [`tcp://${host}`, ...QUICK]);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({ problems: [], notes: [] });
      expect(result).toMatchObject({
        ...{ target: `tcp://${host}`, protocol: "tcp", name: address, address, port: 1234, ok: true },
        ...{ resolveMs: null, flows: 3, flowsAnswered: 3 },
        servers: [{ server: `${host}:1234`, ...POD, flows: 3 }],
        source: {
          ...{ own: CLIENT[family], seen: [CLIENT[family]] },
          ...{ addressTranslated: false, portTranslated: false },
        },
        destination: { asked: `${host}:1234`, translated: false },
        ...{ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, foreign: 0 },
        ...{ synRetransmits: 0, halfClose: "whole", bulkBytes: 65_536, hops: null },
        tcp: { mss: family === "v4" ? 1448 : 1428, retransmits: 0 },
      });
      expect(result.received).toBe(result.sent);
      expect(result.sent).toBeGreaterThanOrEqual(15);
      expect(result.mtu?.there).toBe(1500);
      for (const times of [result.connectMs, result.firstByteMs, result.rttMs]) inOrder(times);
      expect(result.tcp!.kernelRttMs).toBeGreaterThan(0);
    });
  });

  test("an ordinary user and root see the same", async () => {
    const args = [SERVER1.v4, SERVER1.v6, ...QUICK];
    const reports = [await check(lab().client, args), await check(lab().client, args, { asRoot: true })];
    const [byNobody, byRoot] = reports.map(({ results }) => results.map(withoutTimes));
    expect(byNobody).toHaveLength(4);
    expect(byNobody).toEqual(byRoot!);
  });

  test("several targets are told of in the order in which they were asked for, and one fault is its target's alone", async () => {
    const targets = [`udp://${SERVER2.v4}`, `tcp://${SERVER1.v4}:9`, SERVER1.v6, `tcp://${SERVER2.v4}`];
    const { results } = await check(lab().client, [...targets, ...QUICK]);
    expect(results.map(({ target, protocol, ok }) => [target, protocol, ok])).toEqual([
      [targets[0]!, "udp", true],
      [targets[1]!, "tcp", false],
      [targets[2]!, "tcp", true],
      [targets[2]!, "udp", true],
      [targets[3]!, "tcp", true],
    ]);
  });

  test("a plain echo without a banner is well, and what only a banner tells is not known", async () => {
    await using _tcp = await socat(lab().server2, "TCP4-LISTEN:7,fork,reuseaddr");
    await using _udp = await badServer(lab().server2, "udp", 7, "other-echo", SERVER2.v4, "7");
    const { results } = await check(lab().client, [`${SERVER2.v4}:7`, ...QUICK]);
    expect(results.map(({ protocol }) => protocol)).toEqual(["tcp", "udp"]);
    for (const result of results) {
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ flowsAnswered: 3, servers: null, lost: 0, corrupted: 0, foreign: 0 });
      expect(result.source).toMatchObject({ seen: null, addressTranslated: null, portTranslated: null });
      expect(result.destination.translated).toBeNull();
    }
  });

  test("without system calls the same path is well, and what needs them is not measured", async () => {
    const args = [SERVER1.v4, "--engine", "bun", ...QUICK];
    const { results } = await check(lab().client, args);
    for (const result of results) {
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({
        flowsAnswered: 3,
        lost: 0,
        hops: null,
        synRetransmits: null,
        tcp: null,
      });
      expect(result.servers).toMatchObject([{ ...POD, flows: 3 }]);
      expect(noteOf(result, "not_measured").says).toContain("Linux");
    }
  });

  test("a person reads lines of 100 columns at most, without colour where it is no terminal", async () => {
    const args = [SERVER1.v4, `udp://[${SERVER2.v6}]:9`, ...QUICK];
    const { exitCode, stdout, stderr } = await checkText(lab().client, args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "" });
    expect(stdout).toContain("refused");
    expect(stdout).toContain(POD.pod);
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });
}

function inOrder(times: CheckResult["rttMs"]): void {
  const { min, p50, p99, max } = times!;
  expect(min).toBeGreaterThan(0);
  expect([min, p50, p99, max]).toEqual([min, p50, p99, max].toSorted((a, b) => a - b));
}

/** All that does not differ from run to run. */
function withoutTimes(result: CheckResult): object {
  const { connectMs, firstByteMs, rttMs, tcp, ...rest } = result;
  const known = { connect: connectMs !== null, first: firstByteMs !== null, rtt: rttMs !== null };
  return { ...rest, known, mss: tcp?.mss, retransmits: tcp?.retransmits };
}
