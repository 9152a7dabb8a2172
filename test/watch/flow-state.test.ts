import { describe, expect, test } from "bun:test";
import { Failure, type FailureCode } from "../../src/client/failure.ts";
import { wrongPayload } from "../../src/diagnose/watch/faults.ts";
import { parseAddress } from "../../src/net/address.ts";
import { A, B, bannerOf, flowOf, noSilence, PATH, STUCK } from "./fixtures.ts";

const never = (): null => null;

describe("a held flow", () => {
  test("says who answered first, and nothing of the answers after that", () => {
    const { state, said } = flowOf();
    state.answer(1, bannerOf(A, "10.0.0.9:40000", "server1-abc"), noSilence(1));
    for (let ms = 100; ms < 5000; ms += 100) {
      state.answer(ms, null, noSilence(ms));
      state.look(ms, null, 0, 0, never);
    }
    expect(said).toHaveLength(1);
    expect(said[0]).toMatchObject({
      event: "answered",
      server: A,
      pod: "server1-abc",
      seen: "10.0.0.9:40000",
    });
    expect(said[0]!.says).toContain(`${A} (server1-abc on node1)`);
  });

  test("is silent after its time and not before, once; back with how long and how many", () => {
    const { state, said, events } = flowOf();
    state.answer(1, bannerOf(A), noSilence(1));
    state.look(1099, 100, 999, 10, never);
    expect(events()).toEqual(["answered"]);
    for (let ms = 1100; ms < 3500; ms += 100) state.look(ms, 100, ms - 100, 10, never);
    expect(events()).toEqual(["answered", "silent"]);
    expect(said[1]).toMatchObject({ since: 0.1, silentMs: 1000, why: null });
    state.answer(3520, null, { sinceMs: 100, untilMs: 3520, lost: 34 });
    expect(said[2]).toMatchObject({ event: "back", silentMs: 3420, lost: 34, server: A, since: 0.1 });
    // The arithmetic settles the same outage later: it was told.
    state.outageOver({ sinceMs: 100, untilMs: 3520, lost: 34 });
    expect(said).toHaveLength(3);
  });

  test("an outage too short for silence is told when it is certain", () => {
    const { state, said } = flowOf();
    state.answer(1, null, noSilence(1));
    state.answer(400, null, { sinceMs: 100, untilMs: 400, lost: 3 });
    expect(said).toHaveLength(1); // those three may still come, in another order
    state.outageOver({ sinceMs: 100, untilMs: 400, lost: 3 });
    expect(said[1]).toMatchObject({ event: "back", silentMs: 300, lost: 3 });
  });

  test("answers that were slow and in time are back without a loss", () => {
    const { state, said } = flowOf();
    state.look(1100, 100, 1000, 1, never);
    state.answer(2100, null, { sinceMs: 100, untilMs: 100, lost: 0 });
    expect(said.at(-1)).toMatchObject({ event: "back", silentMs: 2000, lost: 0 });
  });

  test("a stale entry: silent, then stuck with who answers new flows, once", () => {
    const { state, said, events } = flowOf();
    state.opened("udp 10.0.0.9:40000 > 10.96.0.7:5678");
    state.answer(1, bannerOf(A), noSilence(1));
    state.look(1100, 100, 1000, 10, never);
    for (let ms = 1200; ms < 3000; ms += 100) state.look(ms, 100, ms - 100, 12, () => STUCK);
    expect(events()).toEqual(["answered", "silent", "stuck"]);
    expect(said[2]).toMatchObject({
      server: A,
      newServer: B,
      ends: "udp 10.0.0.9:40000 > 10.96.0.7:5678",
      where: "path",
      next: "conntrack -D",
    });
    state.answer(3000, bannerOf(B), { sinceMs: 100, untilMs: 2999, lost: 29 });
    expect(events()).toEqual(["answered", "silent", "stuck", "moved", "back"]);
    expect(said[3]).toMatchObject({ from: A, to: B, server: B, silentMs: 2899 });
  });

  test("another cause is said as it is found, each once a silence", () => {
    const { state, said, events } = flowOf();
    state.look(1100, 100, 1000, 10, () => PATH);
    state.look(1200, 100, 1100, 11, () => PATH);
    expect(said[0]).toMatchObject({ event: "silent", why: "path", likely: PATH.likely });
    state.look(1300, 100, 1200, 12, () => STUCK);
    state.look(1400, 100, 1300, 13, () => PATH);
    expect(events()).toEqual(["silent", "stuck"]);
    state.answer(1500, null, { sinceMs: 100, untilMs: 1500, lost: 14 });
    state.look(3000, 1900, 1100, 10, () => PATH);
    expect(events()).toEqual(["silent", "stuck", "answered", "back", "silent"]);
  });

  test("another server's banner is a move, the same one's is none; a new Pod at the same address is one", () => {
    const { state, said, events } = flowOf();
    state.answer(1, bannerOf(A, "10.0.0.9:40000", "a-1"), noSilence(1));
    state.answer(2, bannerOf(A, "10.0.0.9:40000", "a-1"), noSilence(2));
    state.answer(3, bannerOf(B, "10.0.0.9:40000", "b-1"), noSilence(3));
    state.answer(4, bannerOf(B, "10.0.0.9:40000", "b-2"), noSilence(4));
    expect(events()).toEqual(["answered", "moved", "moved"]);
    expect(said[1]).toMatchObject({ silentMs: 0, from: A, to: B });
    expect(state.servers.spans(0).map(({ pod }) => pod)).toEqual(["a-1", "b-1", "b-2"]);
  });

  test("seen as another end, or by another port, is a translation that changed", () => {
    const { state, said, events } = flowOf();
    state.answer(1, bannerOf(A, "10.0.0.9:40000"), noSilence(1));
    state.answer(2, bannerOf(A, "10.89.0.1:40000"), noSilence(2));
    state.answer(3, bannerOf(A, "10.89.0.1:1025"), noSilence(3));
    expect(events()).toEqual(["answered", "translation", "translation"]);
    expect(said[2]).toMatchObject({ from: "10.89.0.1:40000", to: "10.89.0.1:1025", seen: "10.89.0.1:1025" });
  });
});

describe("a session that is held", () => {
  test("every outage is told when it ends, and each end of a session", () => {
    const { state, said, events } = flowOf({ stream: true });
    state.answer(1, bannerOf(A), null);
    state.failed(50, new Failure("reset", 640));
    state.answer(53, bannerOf(B, "10.0.0.9:40001"), { sinceMs: 50, untilMs: 53, lost: 0 });
    state.failed(80, new Failure("closed", 64));
    state.failed(81, new Failure("refused"));
    state.failed(180, new Failure("refused"));
    expect(events()).toEqual(["answered", "reset", "moved", "back", "closed", "refused"]);
    expect(said[1]).toMatchObject({ bytes: 640, by: null });
    expect(said[3]).toMatchObject({ silentMs: 3, lost: 0, server: B });
  });

  test("a new session's own port is no translation, another address is one", () => {
    const { state, events } = flowOf({ stream: true });
    state.answer(1, bannerOf(A, "10.0.0.9:40000"), null);
    state.answer(2, bannerOf(A, "10.0.0.9:40001"), null);
    expect(events()).toEqual(["answered"]);
    state.answer(3, bannerOf(A, "10.89.0.1:40002"), null);
    expect(events()).toEqual(["answered", "translation"]);
  });
});

describe("newcomers", () => {
  test("each server is said once, and nothing is a move: a Service spreads them", () => {
    const { state, events } = flowOf({ held: false });
    for (let at = 0; at < 20; at++) {
      state.answer(at, bannerOf(at % 2 === 0 ? A : B, `10.0.0.9:${40000 + at}`), noSilence(at));
    }
    expect(events()).toEqual(["answered", "answered"]);
    expect(state.servers.spans(0)).toEqual([
      { server: A, pod: null, node: null, from: 0, to: 0.018 },
      { server: B, pod: null, node: null, from: 0.001, to: 0.019 },
    ]);
  });

  test("an answer without a banner among others is of no other server: its port was used before", () => {
    const { state, events } = flowOf({ held: false });
    state.answer(1, bannerOf(A), noSilence(1));
    state.answer(2, null, noSilence(2));
    expect(events()).toEqual(["answered"]);
    expect(state.servers.spans(0)).toHaveLength(1);
    expect([state.wasAnswered(2), state.wasAnswered(3)]).toEqual([true, false]);
  });

  test("a server that sees another address than before is a translation; two that differ are none", () => {
    const { state, events } = flowOf({ held: false });
    state.answer(1, bannerOf(A, "10.0.0.9:1"), noSilence(1));
    state.answer(2, bannerOf(B, "10.89.0.1:2"), noSilence(2));
    state.answer(3, bannerOf(A, "10.0.0.9:3"), noSilence(3));
    expect(events()).toEqual(["answered", "answered"]);
    state.answer(4, bannerOf(A, "10.89.0.1:4"), noSilence(4));
    expect(events()).toEqual(["answered", "answered", "translation"]);
  });
});

describe("what fails", () => {
  test("is said once until there is an answer, with who said so", () => {
    const by = { by: parseAddress("10.97.3.1")!, to: null, mtu: null };
    const { state, said, events } = flowOf();
    for (let at = 0; at < 5; at++) {
      state.failed(at, new Failure("refused", 0, "ECONNREFUSED", null, by));
      state.failed(at, new Failure("unreachable", 0, "EHOSTUNREACH", null, by));
    }
    expect(events()).toEqual(["refused", "problem"]);
    expect(said[0]).toMatchObject({ by: "10.97.3.1" });
    expect(said[1]).toMatchObject({ code: "unreachable", by: "10.97.3.1", where: "path" });
    state.answer(9, null, noSilence(9));
    state.failed(10, new Failure("refused"));
    expect(events()).toEqual(["refused", "problem", "answered", "refused"]);
    expect([...state.problems.keys()]).toEqual([]); // they are outages, and are judged as such
  });

  test("silence has no line of its own", () => {
    const { state, said } = flowOf();
    for (const code of ["timeout", "silent", "aborted", "ended"] satisfies FailureCode[]) {
      state.failed(1, new Failure(code));
    }
    expect(said).toEqual([]);
  });

  test("a problem is counted each time and said once a minute", () => {
    const { state, said } = flowOf();
    for (let ms = 0; ms < 130_000; ms += 1000) state.problem(ms, wrongPayload("duplicated"));
    expect(said.map(({ code, count }) => [code, count])).toEqual([
      ["duplicated", 1],
      ["duplicated", 61],
      ["duplicated", 121],
    ]);
    expect(state.problems.get("duplicated")).toBe(130);
  });
});
