import { expect, test } from "bun:test";
import { notesOf, problemsOf } from "../../../src/diagnose/check/tcp/judge.ts";
import type { BulkSeen, FlowSeen, TailSeen } from "../../../src/diagnose/check/tcp/seen.ts";
import { BULK, ended, flow, INFO, only, SETTINGS, seen, ten, trips } from "./fixtures.ts";

const noKernel = { synRetransmits: null, info: null, retransmits: null } as const;

/** Ten sessions, every second one of which took so long to connect, with SYNs sent again or not known. */
function late(connectMs: number, synRetransmits: number | null, echoMs = 0.1): FlowSeen[] {
  const roundTrips = trips(SETTINGS.count, echoMs);
  return ten((number) =>
    flow(number, number % 2 === 0 ? { roundTrips } : { roundTrips, connectMs, synRetransmits }),
  );
}

test("connects that needed more than one SYN while echoes are quick", () => {
  expect(problemsOf(seen(late(1012, 1)))).toEqual([
    {
      code: "syn_lost",
      count: 5,
      flow: "tcp 10.244.3.9:40001 > 10.96.0.7:1234",
      says: "5 of 10 connects took up to 1.01 s (5 SYNs sent again), an echo takes 0.10 ms",
      likely:
        "first packets of new flows are lost: a full accept queue, a race in conntrack, a rate limit of SYNs",
      where: "path",
      next: "tcpdump -ni any 'tcp[tcpflags] & tcp-syn != 0 and tcp port 1234'",
    },
  ]);
});

test("where echoes had to be sent again too, it is not SYNs alone that the way loses", () => {
  const [first, ...others] = late(1012, 1);
  const likely = (flows: FlowSeen[]): string => only(problemsOf(seen(flows))).likely;
  expect(likely([first!, ...others.map((each) => ({ ...each, retransmits: 2 }))])).toStartWith(
    "the way loses packets, SYNs among them",
  );
  expect(likely([{ ...first!, retransmits: 9, bulk: BULK }, ...others])).toStartWith("first packets");
});

test("where the kernel does not tell, times of SYNs that are sent again say it, and no others", () => {
  const found = (connectMs: number): boolean => problemsOf(seen(late(connectMs, null))).length > 0;
  for (const connectMs of [995, 1000.3, 1040, 2031, 3060, 4080, 5100, 7130]) {
    expect([connectMs, found(connectMs)]).toEqual([connectMs, true]);
  }
  for (const connectMs of [0.2, 300, 900, 1500, 2700])
    expect([connectMs, found(connectMs)]).toEqual([connectMs, false]);
  expect(only(problemsOf(seen(late(1012, null)))).says).toBe(
    "5 of 10 connects took up to 1.01 s (as long as SYNs that are sent again take), an echo takes 0.10 ms",
  );
  expect(problemsOf(seen(late(1012, 0)))).toEqual([]); // the kernel says that none was
});

test("slow echoes tell why SYNs were sent again: no problem", () => {
  expect(problemsOf(seen(late(1400, 1, 1300)))).toEqual([]);
});

function withBulk(spoilt: Partial<BulkSeen>, more: Partial<FlowSeen> = {}): FlowSeen[] {
  return ten((number) => (number === 0 ? flow(0, { bulk: { ...BULK, ...spoilt }, ...more }) : null));
}

const STALLED: Partial<BulkSeen> = {
  stalled: true,
  received: 0,
  retransmits: 5,
  acknowledged: 0,
  tail: null,
};

test("a bulk that stalls where small echoes pass is a black hole: there, where nothing was acknowledged", () => {
  expect(problemsOf(seen(withBulk(STALLED)))).toEqual([
    {
      code: "mtu_black_hole",
      direction: "there",
      mtu: null,
      flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
      says:
        "the bulk stalled: 0 of 1,048,576 bytes came back and then nothing in 3.50 s, " +
        "5 segments sent again, 0 bytes acknowledged; echoes of 64 bytes pass",
      likely:
        "a link on the way is narrower than both ends believe, and the ICMP that would say so is filtered",
      where: "path",
      next: "echo-server check --mtu udp://echo-server",
    },
  ]);
  for (const spoilt of [{ acknowledged: 60_000 }, { acknowledged: null }, { received: 1348 }]) {
    expect(only(problemsOf(seen(withBulk({ ...STALLED, ...spoilt }))))).toMatchObject({
      code: "mtu_black_hole",
      direction: null,
    });
  }
  expect(notesOf(seen(withBulk(STALLED))).map(({ says }) => says)).toEqual([
    "half-close: not measured (the bulk did not come back for 3.50 s)",
  ]);
});

test("full segments that came back before the stall are no black hole", () => {
  const problem = only(problemsOf(seen(withBulk({ ...STALLED, received: 400_000 }))));
  expect(problem).toMatchObject({ code: "silent", where: "far_end" });
  expect(problem.says).toStartWith("the bulk stalled: 400,000 of 1,048,576 bytes came back");
});

function withTail(tail: Partial<TailSeen>, more: Partial<FlowSeen> = {}): FlowSeen[] {
  return withBulk({ tail: { kind: "whole", bytes: 65_536, due: 65_536, endedBy: "fin", ...tail } }, more);
}

test("a half-close whose tail is cut says after how many bytes, and how", () => {
  const cut = { kind: "cut", bytes: 700 } as const;
  expect(only(problemsOf(seen(withTail(cut))))).toMatchObject({
    code: "half_close_cut",
    bytes: 700,
    flow: "tcp 10.244.3.9:40000 > 10.96.0.7:1234",
    says: "after our FIN the tail ended after 700 of 65,536 bytes, by a FIN",
    where: "path", // a banner: it is our own server, which does it right
  });
  const saysOf = (endedBy: TailSeen["endedBy"]): string =>
    only(problemsOf(seen(withTail({ ...cut, endedBy }, { banner: null })))).says;
  expect(saysOf("reset")).toEndWith("bytes, by a reset");
  expect(saysOf(null)).toEndWith("bytes, with nothing more in 3.50 s");
  expect(only(problemsOf(seen(withTail(cut, { banner: null })))).where).toBe("far_end");
});

test("a half-close whose tail is whole and that never ends", () => {
  expect(only(problemsOf(seen(withTail({ kind: "no_end", endedBy: null }))))).toMatchObject({
    code: "half_close_no_end",
    says: "after our FIN all 65,536 bytes of the tail came, and no end in 3.50 s",
  });
  expect(problemsOf(seen(withTail({ endedBy: "reset" })))).toEqual([]);
});

test("a path MTU under the interface's is noted where everything passes, and only there", () => {
  const flows = withBulk({ pathMtu: 1400 });
  expect(notesOf(seen(flows))).toEqual([
    {
      code: "mtu_reduced",
      direction: "there",
      mtu: 1400,
      says: "packets of 1,400 bytes go there, the interface has 1,500; everything passes",
    },
  ]);
  expect(notesOf(seen(withBulk({})))).toEqual([]);
  expect(notesOf(seen(withBulk({ ...STALLED, pathMtu: 1400 }))).map(({ code }) => code)).toEqual([
    "not_measured",
  ]);
  expect(notesOf(seen(flows, { interfaceMtu: null }))).toEqual([
    {
      code: "not_measured",
      says: "whether the path MTU is under the interface's: not measured (the interface's is not known)",
    },
  ]);
});

test("what could not be measured says so, where a session came that far", () => {
  const saysOf = (...args: Parameters<typeof seen>): string[] =>
    notesOf(seen(...args)).map(({ says }) => says);
  const blind = ten((number) =>
    flow(number, { ...noKernel, ...(number === 0 ? { bulk: { ...BULK, pathMtu: null } } : {}) }),
  );
  expect(saysOf(blind, { bySystemCalls: false })).toEqual([
    "SYNs sent again, MSS, path MTU, the kernel's round trip: not measured (needs Linux)",
  ]);
  expect(saysOf(ten((number) => ended(number, "reset", 3)))).toEqual([
    "bulk and half-close: not measured (no session had all its echoes)",
  ]);
  expect(saysOf(ten((number) => ended(number, "silent", 0)))).toEqual([]);
  expect(saysOf([ended(0, "reset", 3)], { interrupted: true })).toEqual([
    "the rest: not measured (interrupted)",
  ]);
  const settings = { ...SETTINGS, flows: 1, source: { port: 40_000 } };
  expect(saysOf([flow(0, { bulk: { ...BULK, tail: null }, info: INFO })], { settings })).toEqual([
    "half-close: not measured (it would keep the source port in TIME-WAIT for a minute)",
  ]);
});
