import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bounds, crossed } from "../bench/fail-if.ts";
import { cutMessages } from "../bench/generator/cut.ts";
import { noCounts } from "../bench/generator/job.ts";
import { judge } from "../bench/generator/judge.ts";
import { fillBlock, streamOf, windowBytes } from "../bench/generator/payload.ts";
import { SendTimes, timesKept } from "../bench/generator/round-trips.ts";
import type { CellResult } from "../bench/run/types.ts";
import { type Circumstances, exactness, judgeCell, type Measured } from "../bench/run/verdict.ts";
import { nativeMemory } from "../src/sys/memory.ts";
import { LINUX } from "./bench-run.ts";

const TIMES = { p50: 40, p90: 60, p95: 70, p99: 100, p999: 200, max: 300 };

function measured(parts: Partial<Measured>, cell: Partial<CellResult["cell"]> = {}): Measured {
  return {
    cell: {
      ...{
        scenario: "tcp-ping",
        protocol: "tcp",
        mode: "echo",
        connections: 50,
        size: 64,
        inFlight: 1,
        rate: 0,
      },
      ...cell,
    },
    ...noCounts(),
    ...{ sessions: 50, messages: 1000, seconds: 1, messagesPerSecond: 1000, megabytesPerSecond: 0.064 },
    ...{
      sent: 1000,
      roundTrip: TIMES,
      sentLate: null,
      curve: [],
      serverCpuMicros: 4,
      serverUserMicros: 1,
      serverSystemMicros: 3,
      serverRssMb: 40,
    },
    ...{ rssPerSession: null, idleCpu: null, loadCpu: 0.5, samples: [] },
    ...{ serverCore: { used: 0.9, waited: 0 }, loadCore: { used: 0.5, waited: 0 } },
    ...parts,
  };
}

const PLAIN: Circumstances = { untimed: 0, behind: 0, overflowed: 0, problem: null, coresApart: true };

describe("the verdict", () => {
  const slow = { ...TIMES, p99: 50_000 };
  const cases: [string, Measured, Partial<Circumstances>, boolean | null, string][] = [
    ["all is well", measured({}), {}, true, ""],
    ["lost", measured({ lost: 3 }), {}, false, "3 messages lost"],
    ["corrupted", measured({ corrupted: 1 }), {}, false, "1 messages came back changed"],
    ["foreign", measured({ foreign: 1 }), {}, false, "another session"],
    ["late is no fault", measured({ late: 7 }), {}, true, ""],
    ["a session failed, and why", measured({ errors: 2 }), { problem: "refused" }, false, "refused"],
    ["nothing came back", measured({ messages: 0, roundTrip: null }), {}, null, "no message came back"],
    ["idle sessions say nothing", measured({ messages: 0, roundTrip: null }, { mode: "idle" }), {}, true, ""],
    [
      "not taken by the server",
      measured({ notSent: 5 }, { rate: 1000 }),
      {},
      null,
      "the server did not take them",
    ],
    [
      "sent late",
      measured({ sentLate: slow, roundTrip: slow }, { rate: 1000 }),
      {},
      null,
      "the load was the limit",
    ],
    [
      "not come to by the load",
      measured({ notSent: 5 }, { rate: 1000 }),
      { behind: 5 },
      null,
      "and 5 were not sent at all",
    ],
    [
      "sent late, and lost: the load's fault",
      measured({ sentLate: slow, roundTrip: slow, lost: 9 }, { rate: 1000 }),
      {},
      null,
      "the load was the limit",
    ],
    [
      "sent late, and corrupted: nobody's but the server's",
      measured({ sentLate: slow, roundTrip: slow, corrupted: 1 }, { rate: 1000 }),
      {},
      false,
      "came back changed",
    ],
    [
      "sent late, but next to nothing of the round trip",
      measured({ sentLate: slow, roundTrip: { ...TIMES, p99: 960_000 } }, { rate: 1000 }),
      {},
      true,
      "",
    ],
    [
      "a neighbour on the server's core",
      measured({ serverCore: { used: 0.4, waited: 0.5 } }),
      {},
      null,
      "busy",
    ],
    ["a neighbour on the load's core", measured({ loadCore: { used: 0.4, waited: 0.5 } }), {}, null, "busy"],
    ["loops of one server share a core", measured({ serverCore: { used: 0.99, waited: 0.9 } }), {}, true, ""],
    [
      "one core for both: each waits for the other",
      measured({ serverCore: { used: 0.5, waited: 0.5 } }),
      { coresApart: false },
      true,
      "",
    ],
    [
      "a busy machine loses nothing in a closed loop",
      measured({ lost: 1, loadCore: { used: 0.1, waited: 0.9 } }),
      {},
      false,
      "lost",
    ],
    ["its own sockets overflowed", measured({ lost: 4 }), { overflowed: 4 }, null, "found its sockets full"],
    ["more was lost than that", measured({ lost: 5 }), { overflowed: 4 }, false, "5 messages lost"],
  ];
  for (const [name, result, circumstances, exact, reason] of cases) {
    test(name, () => {
      const verdict = judgeCell(result, { ...PLAIN, ...circumstances });
      expect(verdict.exact).toBe(exact);
      expect(verdict.reasons.join("; ")).toContain(reason);
      expect(verdict.reasons.length > 0).toBe(exact !== true);
    });
  }
});

test("the verdict of a run is the worst of its cells'; of nothing, nothing can be said", () => {
  const of = (...all: (boolean | null)[]) => exactness(all.map((exact) => ({ exact })));
  expect([of(true, true), of(true, null), of(null, false), of()]).toEqual([true, null, false, null]);
});

test("notes of a verdict say what could not be timed, and which columns mean nothing", () => {
  const { notes } = judgeCell(measured({ late: 3 }, { size: 2 }), { ...PLAIN, untimed: 2 });
  expect(notes).toEqual([
    "3 answers came later than 2 s, and right",
    "2 answers came too late to be timed: the percentiles have the least they took",
    expect.stringMatching(/^messages of 2 B cannot be told apart: lost, .* mean nothing, /),
  ]);
});

test("bounds read their figures in their units", () => {
  const result = { ...measured({ lost: 2, notSent: 20 }), ...judgeCell(measured({}), PLAIN) };
  const over = (text: string): string[] => crossed(result, bounds.parse(text)!);
  expect(over("p99>99us,p99>0.2ms,p99<1s")).toEqual(["p99>99us: it is 0.100 ms", "p99<1s: it is 0.100 ms"]);
  expect(over("p999>=200us, p99.9 > 200us")).toEqual(["p999>=200us: it is 0.200 ms"]);
  expect(over("lost>1,lost>2,notSent>0,rate<1k,rate<=1k")).toEqual([
    ...["lost>1: it is 2", "notSent>0: it is 20", "rate<=1k: it is 1,000"],
  ]);
});

describe("sending times", () => {
  test("are kept for the rate times the patience, within bounds", () => {
    expect(timesKept(8000, 1, 1)).toBeGreaterThanOrEqual(8000 * 10);
    expect(timesKept(8000, 50, 1)).toBeGreaterThanOrEqual(160 * 10);
    expect(timesKept(0, 50, 64)).toBe(64);
    expect(timesKept(10_000_000, 50, 1) * 50).toBeLessThanOrEqual(4_194_304);
  });

  test("of the latest messages are there", () => {
    const times = new SendTimes(16);
    for (let message = 0; message < 100; message++) times.set(message, message * 2);
    for (let message = 84; message < 100; message++) expect(times.get(message)).toBe(message * 2);
  });
});

describe.if(LINUX)("a stream in which something was wrong", () => {
  const MESSAGES = 12;
  const memory = LINUX ? nativeMemory(64 * 1024) : null!;

  /** Cuts `bytes`, which come in pieces, and lists what each message was taken for. */
  function cut(bytes: Uint8Array, pieces: readonly number[], size: number): string[] {
    const stream = streamOf(7, size);
    const seen: string[] = [];
    let partial: Uint8Array = new Uint8Array(0);
    let next = 0;
    for (let from = 0, piece = 0; from < bytes.length; piece++) {
      const to = Math.min(bytes.length, from + pieces[piece % pieces.length]!);
      memory.bytes.set(partial);
      memory.bytes.set(bytes.subarray(from, to), partial.length);
      const length = partial.length + to - from;
      const taken = cutMessages(memory, length, stream, next, MESSAGES, ({ what, number }) => {
        seen.push(`${what} ${number}`);
        if (what === "own" && number >= next) next = number + 1;
        return next;
      });
      partial = memory.bytes.slice(taken, length);
      from = to;
    }
    return seen;
  }

  test("is found again: what a cut costs is one message, wherever it is and however the bytes come", () => {
    fillBlock(1);
    const sizes = fc.integer({ min: 24, max: 300 });
    const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        sizes,
        pieces,
        fc.nat(MESSAGES - 3),
        fc.nat(1e6),
        fc.nat(1e6),
        (size, lengths, hit, a, b) => {
          const whole = windowBytes(streamOf(7, size), 0, MESSAGES * size);
          // Behind the header, and as much as a header or more.
          const gone = 8 + (a % (size - 16));
          const at = hit * size + 8 + (b % (size - 7 - gone));
          const bytes = Buffer.concat([whole.subarray(0, at), whole.subarray(at + gone)]);
          const expected = Array.from({ length: MESSAGES }, (_, n) =>
            n === hit ? `damaged ${n}` : `own ${n}`,
          );
          expect(cut(bytes, lengths, size)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("each message says whose it is and which, and damage to its header shows", () => {
    fillBlock(1);
    const own = streamOf(7, 64);
    const look = (bytes: Uint8Array) => {
      memory.bytes.set(bytes);
      return judge(memory, 0, bytes.length, own, 0, MESSAGES);
    };
    expect(look(windowBytes(own, 5 * 64, 64))).toEqual({ what: "own", number: 5, identity: 7 });
    expect(look(windowBytes(streamOf(9, 64), 3 * 64, 64))).toEqual({
      what: "foreign",
      number: 3,
      identity: 9,
    });
    expect(look(windowBytes(own, 5 * 64, 63)).what).toBe("damaged");
    for (let bit = 0; bit < 64 * 8; bit++) {
      const bytes = windowBytes(own, 5 * 64, 64);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(look(bytes)).toEqual({ what: "damaged", number: bit < 64 ? -1 : 5, identity: 7 });
    }
  });
});
