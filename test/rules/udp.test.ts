import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Address } from "../../src/rules/address.ts";
import { BANNER_SUPPRESSIONS, C, UDP_CLOSES, UDP_DROPS, UDP_REFUSALS } from "../../src/rules/counters.ts";
import type { LoopSettings } from "../../src/rules/settings.ts";
import { makeSharedTables, type SharedTables, WORD } from "../../src/rules/shared.ts";
import { DROP, ECHO, FIRST, UdpRules, type UdpVerdict } from "../../src/rules/udp.ts";
import { HandClock, ip, settings, text } from "./fixtures.ts";

const SERVER = ip("10.0.0.1");

/** The rules of one loop, with a clock in hand. */
class Loop {
  readonly clock = new HandClock();
  readonly rules: UdpRules;

  constructor(
    changes: Partial<LoopSettings> = {},
    readonly tables: SharedTables = makeSharedTables(1, 0),
    loop = 0,
  ) {
    this.rules = new UdpRules(settings(changes), tables, loop, this.clock);
  }

  admit({ a0, a1, a2, a3 }: Address, port: number, local = 0, length = 10): UdpVerdict {
    return this.rules.admit(a0, a1, a2, a3, port, local, length);
  }

  column(name: "udpDropped" | "udpRefused" | "udpClosedBy" | "udpBannersSuppressed", reason: string): number {
    const reasons = {
      udpDropped: UDP_DROPS,
      udpRefused: UDP_REFUSALS,
      udpClosedBy: UDP_CLOSES,
      udpBannersSuppressed: BANNER_SUPPRESSIONS,
    };
    return this.rules.row[C[name] + (reasons[name] as readonly string[]).indexOf(reason)]!;
  }

  /** Time passes, in ticks as a loop's. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(Math.min(10, left));
      this.rules.sweep();
    }
  }
}

describe("a session", () => {
  test("is one client's address and port at one local address", () => {
    const loop = new Loop();
    const client = ip("192.0.2.1");
    expect(loop.admit(client, 5000)).toBe(FIRST);
    expect(loop.admit(client, 5000)).toBe(ECHO);
    expect(loop.admit(client, 5001)).toBe(FIRST);
    expect(loop.admit(client, 5000, 1)).toBe(FIRST);
    expect(loop.admit(client, 5000, 65535)).toBe(FIRST);
    for (const word of ["a0", "a1", "a2", "a3"] as const) {
      expect(loop.admit({ ...client, [word]: 77 }, 5000)).toBe(FIRST);
      expect(loop.admit({ ...client, [word]: 77 }, 5000)).toBe(ECHO);
    }
    expect(loop.admit(client, 5000)).toBe(ECHO);
    expect(loop.rules.active).toBe(8);
    expect(loop.rules.row[C.udpOpened]).toBe(8);
    expect(new Int32Array(loop.tables.control)[WORD.udpActive]).toBe(8);
  });

  test("counts every datagram and its bytes, those dropped too", () => {
    const loop = new Loop({ udpBlockedSourcePorts: [53] });
    loop.admit(ip("192.0.2.1"), 5000, 0, 0);
    loop.admit(ip("192.0.2.1"), 5000, 0, 65_507);
    loop.admit(ip("192.0.2.1"), 53, 0, 100);
    expect(loop.rules.row[C.udpReceivedDatagrams]).toBe(3);
    expect(loop.rules.row[C.udpReceivedBytes]).toBe(65_607);
  });

  test("ends after its timeout of silence, and the next datagram begins another", () => {
    const loop = new Loop({ udpIdleTimeoutMs: 1000 });
    const client = ip("192.0.2.1");
    loop.admit(client, 5000);
    loop.pass(900);
    expect(loop.admit(client, 5000)).toBe(ECHO);
    loop.pass(990);
    expect(loop.admit(client, 5000)).toBe(ECHO);
    loop.pass(1100);
    expect(loop.rules.active).toBe(0);
    expect(loop.column("udpClosedBy", "idle_timeout")).toBe(1);
    expect(loop.rules.row[C.udpClosed]).toBe(1);
    expect(new Int32Array(loop.tables.control)[WORD.udpActive]).toBe(0);
    expect(loop.admit(client, 5000)).toBe(FIRST);
    // It lasted 1.9 s and the timeout: the bucket up to 10 s.
    expect(loop.rules.row[C.udpDuration + 4]).toBe(1);
  });

  test("does not end where the timeout is off", () => {
    const loop = new Loop({ udpIdleTimeoutMs: 0 });
    loop.admit(ip("192.0.2.1"), 5000);
    loop.clock.advance(1e9);
    loop.rules.sweep();
    expect(loop.admit(ip("192.0.2.1"), 5000)).toBe(ECHO);
  });
});

describe("refused is", () => {
  test("the one above the cap, and it is served when another has ended", () => {
    const loop = new Loop({ maxUdpSessions: 3, udpIdleTimeoutMs: 1000 });
    for (const port of [1001, 1002, 1003]) expect(loop.admit(ip("192.0.2.1"), port)).toBe(FIRST);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(DROP);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(DROP);
    expect(loop.column("udpRefused", "max_sessions")).toBe(2);
    expect(loop.column("udpDropped", "max_sessions")).toBe(2);
    for (const port of [1001, 1002, 1003]) expect(loop.admit(ip("192.0.2.1"), port)).toBe(ECHO);
    loop.pass(1100);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(FIRST);
  });

  test("one above the cap of all loops together", () => {
    const tables = makeSharedTables(2, 0);
    const [one, two] = [
      new Loop({ maxUdpSessions: 2 }, tables, 0),
      new Loop({ maxUdpSessions: 2 }, tables, 1),
    ];
    expect(one.admit(ip("192.0.2.1"), 1)).toBe(FIRST);
    expect(two.admit(ip("192.0.2.1"), 2)).toBe(FIRST);
    expect(one.admit(ip("192.0.2.1"), 3)).toBe(DROP);
    expect(two.admit(ip("192.0.2.1"), 4)).toBe(DROP);
    expect(one.column("udpRefused", "max_sessions")).toBe(1);
    expect(two.column("udpRefused", "max_sessions")).toBe(1);
  });

  test("a newcomer while the server drains, and those that are here go on", () => {
    const loop = new Loop();
    loop.admit(ip("192.0.2.1"), 1000);
    new Int32Array(loop.tables.control)[WORD.draining] = 1;
    expect(loop.admit(ip("192.0.2.1"), 1001)).toBe(DROP);
    expect(loop.admit(ip("192.0.2.1"), 1000)).toBe(ECHO);
    expect(loop.column("udpRefused", "draining")).toBe(1);
    expect(loop.column("udpDropped", "draining")).toBe(1);
  });
});

describe("dropped is what could go back and forth for ever:", () => {
  test("source port 0, the server's own, and those that are listed; nothing else", () => {
    const loop = new Loop({ udpBlockedSourcePorts: [7, 19, 65535] });
    loop.rules.guardOwnPort(5678);
    const expected = new Map([
      [0, "source_port_zero"],
      [5678, "own_port"],
      [7, "blocked_source_port"],
      [19, "blocked_source_port"],
      [65535, "blocked_source_port"],
    ]);
    for (let port = 0; port <= 65535; port++) {
      if (expected.has(port)) expect(loop.admit(ip("192.0.2.1"), port)).toBe(DROP);
    }
    for (const port of [1, 6, 8, 53, 5677, 5679, 65534]) {
      expect(loop.admit(ip("192.0.2.1"), port)).toBe(FIRST);
    }
    for (const reason of new Set(expected.values())) {
      const ports = [...expected.values()].filter((other) => other === reason).length;
      expect(loop.column("udpDropped", reason)).toBe(ports);
    }
    expect(loop.rules.active).toBe(7);
  });

  test("port 0 even where the list is empty", () => {
    expect(new Loop({ udpBlockedSourcePorts: [] }).admit(ip("192.0.2.1"), 0)).toBe(DROP);
  });
});

describe("the banner of a session", () => {
  test("names both ends of the datagram", () => {
    const loop = new Loop({ bannerFields: "Pod: p\n" });
    const length = loop.rules.bannerFor(SERVER, 5678, ip("fd00::2"), 1000, 10);
    expect(text(loop.rules.banner.bytes.subarray(0, length))).toEndWith(
      "\nServer: 10.0.0.1:5678\nClient: [fd00::2]:1000\nPod: p\n\n",
    );
  });

  test("is left out where banners are off, and nothing is counted", () => {
    for (const changes of [{ banner: false }, { udpBannerRate: 0 }]) {
      const loop = new Loop(changes);
      expect(loop.rules.bannerFor(SERVER, 5678, ip("192.0.2.1"), 1000, 10)).toBe(0);
      for (const reason of BANNER_SUPPRESSIONS) expect(loop.column("udpBannersSuppressed", reason)).toBe(0);
    }
  });

  test("is left out past the budget, by reason", () => {
    const server = new Loop({ udpBannerRate: 2 });
    const prefix = new Loop({ udpBannerRatePerPrefix: 1 });
    const ask = (loop: Loop, client: string): boolean =>
      loop.rules.bannerFor(SERVER, 5678, ip(client), 1000, 10) > 0;
    expect(["192.0.2.1", "198.51.100.1", "203.0.113.1"].map((client) => ask(server, client))).toEqual([
      true,
      true,
      false,
    ]);
    expect(server.column("udpBannersSuppressed", "rate")).toBe(1);
    expect(["192.0.2.1", "192.0.2.2", "203.0.113.1"].map((client) => ask(prefix, client))).toEqual([
      true,
      false,
      true,
    ]);
    expect(prefix.column("udpBannersSuppressed", "prefix_rate")).toBe(1);
    server.clock.advance(500);
    expect(ask(server, "203.0.113.1")).toBe(true);
  });

  test("never makes the answer more than so many times the question, headers included", () => {
    const client = fc.constantFrom("192.0.2.1", "2001:db8::1");
    const factor = fc.double({ min: 1, max: 12, noNaN: true });
    fc.assert(
      fc.property(client, factor, fc.nat(600), (client, udpAmplificationMax, length) => {
        const loop = new Loop({ udpAmplificationMax });
        const headers = client.includes(":") ? 48 : 28;
        const server = client.includes(":") ? ip("2001:db8::2") : SERVER;
        const bannerLength = loop.rules.bannerFor(server, 5678, ip(client), 1000, length);
        const suppressed = loop.column("udpBannersSuppressed", "amplification");
        const wouldBe = loop.rules.banner.write(server, 5678, ip(client), 1000);
        const fits = headers + wouldBe + headers + length <= udpAmplificationMax * (headers + length);
        expect(bannerLength).toBe(fits ? wouldBe : 0);
        expect(suppressed).toBe(fits ? 0 : 1);
      }),
    );
  });

  test("that would be too much costs the budget nothing", () => {
    const loop = new Loop({ udpAmplificationMax: 2, udpBannerRate: 1 });
    expect(loop.rules.bannerFor(SERVER, 5678, ip("192.0.2.1"), 1000, 0)).toBe(0);
    expect(loop.rules.bannerFor(SERVER, 5678, ip("192.0.2.1"), 1000, 1000)).toBeGreaterThan(0);
  });
});

test("at the server's end every session is ended and counted", () => {
  const loop = new Loop({ udpIdleTimeoutMs: 1000, maxUdpSessions: 1000 });
  for (let port = 1; port <= 1000; port++) loop.admit(ip("192.0.2.1"), port);
  loop.rules.endAll("drained");
  expect(loop.rules.active).toBe(0);
  expect(loop.column("udpClosedBy", "drained")).toBe(1000);
  expect(new Int32Array(loop.tables.control)[WORD.udpActive]).toBe(0);
  expect(loop.admit(ip("192.0.2.1"), 1)).toBe(FIRST);
});

test("any mix of clients, silence and caps is what a Map would make of it", () => {
  const timeoutMs = 1000;
  const cap = 24;
  const step = fc.oneof(
    { weight: 9, arbitrary: fc.record({ client: fc.nat(39), local: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ passMs: fc.nat(700) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
      const loop = new Loop({ udpIdleTimeoutMs: timeoutMs, maxUdpSessions: cap });
      const lastSeenMs = new Map<string, number>();
      for (const step of steps) {
        if ("passMs" in step) {
          const endMs = loop.clock.nowMs + step.passMs;
          loop.pass(step.passMs);
          for (const [key, seenMs] of lastSeenMs)
            if (seenMs + timeoutMs <= endMs - 40) lastSeenMs.delete(key);
          // One that is due within the grain may have ended or not: then what follows would be ambiguous.
          fc.pre([...lastSeenMs.values()].every((seenMs) => seenMs + timeoutMs > endMs));
        } else {
          const key = `${step.client}/${step.local}`;
          const verdict = loop.admit(ip(`10.${step.client}.0.1`), 1000 + step.client, step.local);
          expect(verdict).toBe(lastSeenMs.has(key) ? ECHO : lastSeenMs.size < cap ? FIRST : DROP);
          if (verdict !== DROP) lastSeenMs.set(key, loop.clock.nowMs);
        }
        expect(loop.rules.active).toBe(lastSeenMs.size);
      }
    }),
    { numRuns: 200 },
  );
});
