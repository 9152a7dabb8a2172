import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { LoopSettings } from "../../src/engine/loop.ts";
import type { Address } from "../../src/net/address.ts";
import type { UdpRules } from "../../src/rules/udp.ts";
import { makeUdpRules } from "../../src/rules/udp-rated.ts";
import { DROP, ECHO, FIRST, SUSPECT, type UdpVerdict } from "../../src/rules/udp-verdict.ts";
import {
  BANNER_SUPPRESSIONS,
  COUNTER,
  UDP_CLOSES,
  UDP_DROPS,
  UDP_REFUSALS,
} from "../../src/state/counters.ts";
import { KeyedHash, PROBES_MAX, SEED_WORDS } from "../../src/state/hash.ts";
import { CONTROL, makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
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
    this.rules = makeUdpRules(settings(changes), tables, loop, this.clock);
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
    return this.rules.counters[COUNTER[name] + (reasons[name] as readonly string[]).indexOf(reason)]!;
  }

  /** Everything that was dropped or refused, whatever for. */
  turnedAway(): number {
    const { counters } = this.rules;
    const counts = [
      ...counters.subarray(COUNTER.udpDropped, COUNTER.udpDropped + UDP_DROPS.length),
      ...counters.subarray(COUNTER.udpRefused, COUNTER.udpRefused + UDP_REFUSALS.length),
    ];
    return counts.reduce((sum, count) => sum + count);
  }

  /** As an engine does it: what becomes of a datagram with these bytes. */
  receive(client: Address, port: number, bytes: Uint8Array, local = 0): UdpVerdict {
    const verdict = this.admit(client, port, local, bytes.length);
    return verdict === SUSPECT ? this.rules.inspect(bytes, 0) : verdict;
  }

  /** Begins a session; returns the banner that it was granted. */
  greeted(client: Address, port: number): Uint8Array {
    expect(this.admit(client, port)).toBe(FIRST);
    const length = this.rules.banners.grant(SERVER, 5678, client, port, 10);
    expect(length).toBeGreaterThan(0);
    return this.rules.banners.bytes.slice(0, length);
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
    expect(loop.rules.counters[COUNTER.udpOpened]).toBe(8);
    expect(new Int32Array(loop.tables.control)[CONTROL.udpActive]).toBe(8);
  });

  test("counts every datagram and its bytes, those dropped too", () => {
    const loop = new Loop({ udpBlockedSourcePorts: [53] });
    loop.admit(ip("192.0.2.1"), 5000, 0, 0);
    loop.admit(ip("192.0.2.1"), 5000, 0, 65_507);
    loop.admit(ip("192.0.2.1"), 53, 0, 100);
    expect(loop.rules.counters[COUNTER.udpReceivedDatagrams]).toBe(3);
    expect(loop.rules.counters[COUNTER.udpReceivedBytes]).toBe(65_607);
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
    expect(loop.rules.counters[COUNTER.udpClosed]).toBe(1);
    expect(new Int32Array(loop.tables.control)[CONTROL.udpActive]).toBe(0);
    expect(loop.admit(client, 5000)).toBe(FIRST);
    // It lasted 1.9 s and the timeout: the bucket up to 10 s.
    expect(loop.rules.counters[COUNTER.udpDuration + 4]).toBe(1);
  });

  test("does not end where the timeout is off", () => {
    const loop = new Loop({ udpIdleTimeoutMs: 0 });
    loop.admit(ip("192.0.2.1"), 5000);
    loop.clock.advance(1e9);
    loop.rules.sweep();
    expect(loop.admit(ip("192.0.2.1"), 5000)).toBe(ECHO);
  });
});

describe("at the cap of sessions", () => {
  test("a newcomer is echoed without one, each time, and has one when another has ended", () => {
    const loop = new Loop({ maxUdpSessions: 3, udpIdleTimeoutMs: 1000 });
    for (const port of [1001, 1002, 1003]) expect(loop.admit(ip("192.0.2.1"), port)).toBe(FIRST);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(ECHO);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(ECHO);
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(2);
    expect(loop.rules.counters[COUNTER.udpOpened]).toBe(3);
    for (const port of [1001, 1002, 1003]) expect(loop.admit(ip("192.0.2.1"), port)).toBe(ECHO);
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(2);
    expect(loop.turnedAway()).toBe(0);
    loop.pass(1100);
    expect(loop.admit(ip("192.0.2.1"), 1004)).toBe(FIRST);
  });

  test("of all loops together the same", () => {
    const tables = makeSharedTables(2, 0);
    const [one, two] = [
      new Loop({ maxUdpSessions: 2 }, tables, 0),
      new Loop({ maxUdpSessions: 2 }, tables, 1),
    ];
    expect(one.admit(ip("192.0.2.1"), 1)).toBe(FIRST);
    expect(two.admit(ip("192.0.2.1"), 2)).toBe(FIRST);
    expect(one.admit(ip("192.0.2.1"), 3)).toBe(ECHO);
    expect(two.admit(ip("192.0.2.1"), 4)).toBe(ECHO);
    expect(one.rules.counters[COUNTER.udpSessionless]).toBe(1);
    expect(two.rules.counters[COUNTER.udpSessionless]).toBe(1);
    expect(new Int32Array(tables.control)[CONTROL.udpActive]).toBe(2);
  });

  test("the loop guard and the drain still drop", () => {
    const loop = new Loop({ maxUdpSessions: 1, udpBlockedSourcePorts: [53] });
    loop.admit(ip("192.0.2.1"), 1000);
    expect(loop.admit(ip("192.0.2.1"), 53)).toBe(DROP);
    new Int32Array(loop.tables.control)[CONTROL.draining] = 1;
    expect(loop.admit(ip("192.0.2.1"), 1001)).toBe(DROP);
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(0);
  });

  test("a banner of ours that comes back is dropped, and what is as long is not", () => {
    const loop = new Loop({ maxUdpSessions: 1 });
    const banner = loop.greeted(ip("192.0.2.1"), 1000);
    expect(loop.receive(ip("192.0.2.9"), 2000, banner)).toBe(DROP);
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(0);
    expect(loop.column("udpDropped", "reflected")).toBe(1);
    expect(
      loop.receive(
        ip("192.0.2.9"),
        2000,
        banner.map((byte) => byte ^ 1),
      ),
    ).toBe(ECHO);
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(1);
  });
});

describe("refused is", () => {
  test("a newcomer while the server drains, and those that are here go on", () => {
    const loop = new Loop();
    loop.admit(ip("192.0.2.1"), 1000);
    new Int32Array(loop.tables.control)[CONTROL.draining] = 1;
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
    const length = loop.rules.banners.grant(SERVER, 5678, ip("fd00::2"), 1000, 10);
    expect(text(loop.rules.banners.bytes.subarray(0, length))).toEndWith(
      "\nServer: 10.0.0.1:5678\nClient: [fd00::2]:1000\nPod: p\n\n",
    );
  });

  test("is left out where banners are off, and nothing is counted", () => {
    for (const changes of [{ banner: false }, { udpBannerRate: 0 }, { udpBannerRatePerPrefix: 0 }]) {
      const loop = new Loop(changes);
      expect(loop.rules.banners.grant(SERVER, 5678, ip("192.0.2.1"), 1000, 10)).toBe(0);
      for (const reason of BANNER_SUPPRESSIONS) expect(loop.column("udpBannersSuppressed", reason)).toBe(0);
    }
  });

  test("is never left out for a budget without a limit", () => {
    const loop = new Loop({
      udpBannerRate: Number.POSITIVE_INFINITY,
      udpBannerRatePerPrefix: Number.POSITIVE_INFINITY,
    });
    for (let port = 1; port <= 10_000; port++) {
      expect(loop.rules.banners.grant(SERVER, 5678, ip("192.0.2.1"), port, 10)).toBeGreaterThan(0);
    }
  });

  test("is left out past the budget, by reason", () => {
    const server = new Loop({ udpBannerRate: 2 });
    const prefix = new Loop({ udpBannerRatePerPrefix: 1 });
    const ask = (loop: Loop, client: string): boolean =>
      loop.rules.banners.grant(SERVER, 5678, ip(client), 1000, 10) > 0;
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
        const bannerLength = loop.rules.banners.grant(server, 5678, ip(client), 1000, length);
        const suppressed = loop.column("udpBannersSuppressed", "amplification");
        const wouldBe = loop.rules.banners.rewrite(server, 5678, ip(client), 1000);
        const fits = headers + wouldBe + headers + length <= udpAmplificationMax * (headers + length);
        expect(bannerLength).toBe(fits ? wouldBe : 0);
        expect(suppressed).toBe(fits ? 0 : 1);
      }),
    );
  });

  test("that would be too much costs the budget nothing", () => {
    const loop = new Loop({ udpAmplificationMax: 2, udpBannerRate: 1 });
    expect(loop.rules.banners.grant(SERVER, 5678, ip("192.0.2.1"), 1000, 0)).toBe(0);
    expect(loop.rules.banners.grant(SERVER, 5678, ip("192.0.2.1"), 1000, 1000)).toBeGreaterThan(0);
  });
});

describe("a banner of ours that comes back", () => {
  const peer = ip("192.0.2.1");
  const TEXT = Buffer.from("hello");

  test("mutes the session for its idle time, and no longer", () => {
    const loop = new Loop({ udpIdleTimeoutMs: 1000 });
    const banner = loop.greeted(peer, 9000);
    expect(loop.receive(peer, 9000, banner)).toBe(DROP);
    for (let passed = 0; passed < 900; passed += 100) {
      expect(loop.receive(peer, 9000, TEXT)).toBe(DROP);
      loop.pass(100);
    }
    expect(loop.column("udpDropped", "reflected")).toBe(10);
    expect(loop.rules.active).toBe(1);
    loop.pass(200);
    expect(loop.rules.active).toBe(0);
    expect(loop.receive(peer, 9000, TEXT)).toBe(FIRST);
  });

  test("does so from whatever port and address, as a session's first datagram too, and to whatever loop", () => {
    const tables = makeSharedTables(2, 0);
    const [one, two] = [new Loop({}, tables, 0), new Loop({}, tables, 1)];
    const banner = one.greeted(peer, 9000);
    for (const loop of [one, two]) {
      expect(loop.receive(ip("10.1.1.1"), 40_000, banner)).toBe(DROP);
      expect(loop.receive(ip("10.1.1.1"), 40_000, TEXT)).toBe(DROP);
      expect(loop.receive(ip("10.1.1.1"), 40_001, TEXT)).toBe(FIRST);
    }
    expect(one.receive(peer, 9000, TEXT)).toBe(ECHO); // who only had it sent to is no reflector
  });

  test("with one byte other, or cut, or longer, is a payload like any other", () => {
    const loop = new Loop();
    const banner = loop.greeted(peer, 9000);
    for (let at = 0; at < banner.length; at++) {
      expect(loop.receive(peer, 9000, banner.with(at, banner[at]! ^ 1))).toBe(ECHO);
    }
    expect(loop.receive(peer, 9000, banner.subarray(1))).toBe(ECHO);
    expect(loop.receive(peer, 9000, banner.subarray(0, -1))).toBe(ECHO);
    expect(loop.receive(peer, 9000, Buffer.concat([banner, Buffer.from("\n")]))).toBe(ECHO);
    expect(loop.turnedAway()).toBe(0);
  });

  test("of another server is a payload like any other", () => {
    const [here, there] = [new Loop(), new Loop()];
    const banner = there.greeted(peer, 9000);
    here.greeted(peer, 9000); // the same text, but for what is secret
    expect(there.receive(peer, 9000, banner)).toBe(DROP);
    const stranger = Buffer.from(text(banner).replace("Server: 10.0.0.1", "Server: 10.0.0.2"));
    expect(here.receive(peer, 9000, stranger)).toBe(ECHO);
  });

  test("is seen behind all that a forger sent ahead of it, and no more when the session has proved itself", () => {
    const loop = new Loop();
    const banner = loop.greeted(peer, 9000);
    for (let count = 0; count < 5000; count++) expect(loop.receive(peer, 9000, TEXT)).toBe(ECHO);
    expect(loop.receive(peer, 9000, banner)).toBe(DROP);

    const later = loop.greeted(peer, 9001);
    for (let count = 0; count < 20; count++) loop.receive(peer, 9001, TEXT);
    loop.clock.advance(3000);
    expect(loop.receive(peer, 9001, TEXT)).toBe(ECHO);
    expect(loop.receive(peer, 9001, later)).toBe(ECHO);
  });

  test("is seen among the first of a session that takes its time", () => {
    const loop = new Loop();
    const banner = loop.greeted(peer, 9000);
    for (let count = 0; count < 10; count++) {
      loop.clock.advance(3000);
      expect(loop.receive(peer, 9000, TEXT)).toBe(ECHO);
    }
    expect(loop.receive(peer, 9000, banner)).toBe(DROP);
  });

  test("that waited in the engine and was written anew is known as well", () => {
    const loop = new Loop();
    loop.greeted(peer, 9000);
    const length = loop.rules.banners.rewrite(SERVER, 5678, peer, 9001);
    expect(loop.receive(peer, 9000, loop.rules.banners.bytes.slice(0, length))).toBe(DROP);
  });

  test("is nobody's where there are no banners: nothing is suspected", () => {
    const loop = new Loop({ banner: false });
    for (let length = 0; length < 400; length++) expect(loop.admit(peer, 9000, 0, length)).not.toBe(SUSPECT);
  });
});

describe("a rate per client", () => {
  const many = (loop: Loop, client: Address, count: number): number => {
    let taken = 0;
    for (let at = 0; at < count; at++) if (loop.admit(client, 1000 + (at % 50)) !== DROP) taken++;
    return taken;
  };

  test("is a second's worth at once, then the rate, whatever the port; the rest is dropped and counted", () => {
    const loop = new Loop({ udpRatePerClient: 100 });
    expect(many(loop, ip("192.0.2.1"), 500)).toBe(100);
    expect(loop.column("udpDropped", "client_rate")).toBe(400);
    expect(loop.rules.counters[COUNTER.udpReceivedDatagrams]).toBe(500);
    expect(many(loop, ip("192.0.2.2"), 500)).toBe(100);
    loop.clock.advance(100);
    expect(many(loop, ip("192.0.2.1"), 500)).toBe(10);
  });

  test("holds over all loops", () => {
    const tables = makeSharedTables(2, 0);
    const loops = [0, 1].map((index) => new Loop({ udpRatePerClient: 100 }, tables, index));
    expect(loops.reduce((sum, loop) => sum + many(loop, ip("192.0.2.1"), 80), 0)).toBe(100);
  });

  test("of one a second is one, not none", () => {
    const loop = new Loop({ udpRatePerClient: 1 });
    expect(many(loop, ip("192.0.2.1"), 5)).toBe(1);
    loop.clock.advance(1000);
    expect(many(loop, ip("192.0.2.1"), 5)).toBe(1);
  });

  test("keeps clients apart, by the thousand", () => {
    const loop = new Loop({ udpRatePerClient: 3, maxUdpSessions: 10 });
    for (let at = 0; at < 10_000; at++) {
      expect(many(loop, ip(`10.0.${at >> 8}.${at & 255}`), 5)).toBe(3);
    }
  });

  test("is not asked where it is off", () => {
    expect(many(new Loop(), ip("192.0.2.1"), 100_000)).toBe(100_000);
  });
});

describe("keys that would meet in one place", () => {
  const SEED = Int32Array.from({ length: SEED_WORDS }, (_, at) => Math.imul(at + 1, 0x9e3779b1));
  const SESSIONS = 1024;
  const PLACES = 2 * SESSIONS;

  /** IPv6 clients of one /48 whose hash under SEED has the same place. */
  function colliding(count: number): Address[] {
    const hash = new KeyedHash(SEED);
    const found: Address[] = [];
    for (let at = 0; found.length < count; at++) {
      const client = { a0: 0x20010db8, a1: 0x00010000 | (at & 0xffff), a2: 0, a3: at };
      if ((hash.of(client.a0, client.a1, client.a2, client.a3, 5000) & (PLACES - 1)) === 7)
        found.push(client);
    }
    return found;
  }

  test("get sessions up to a bound; those beyond are echoed without one, and all end as they should", () => {
    const loop = new Loop(
      { maxUdpSessions: SESSIONS, udpIdleTimeoutMs: 1000 },
      makeSharedTables(1, 0, undefined, SEED),
    );
    const clients = colliding(PROBES_MAX + 20);
    const verdicts = clients.map((client) => loop.admit(client, 5000));
    expect(verdicts.filter((verdict) => verdict === FIRST).length).toBe(PROBES_MAX);
    expect(verdicts.slice(PROBES_MAX)).toEqual(new Array(20).fill(ECHO));
    expect(loop.rules.counters[COUNTER.udpSessionless]).toBe(20);
    expect(new Int32Array(loop.tables.control)[CONTROL.udpActive]).toBe(PROBES_MAX);
    for (const client of clients) expect(loop.admit(client, 5000)).toBe(ECHO);
    loop.pass(1100);
    expect(loop.rules.active).toBe(0);
    expect(loop.admit(clients.at(-1)!, 5000)).toBe(FIRST);
  });

  test("do not meet under another secret", () => {
    const loop = new Loop({ maxUdpSessions: SESSIONS });
    for (const client of colliding(PROBES_MAX + 20)) expect(loop.admit(client, 5000)).toBe(FIRST);
  });
});

test("at the server's end every session is ended and counted", () => {
  const loop = new Loop({ udpIdleTimeoutMs: 1000, maxUdpSessions: 1000 });
  for (let port = 1; port <= 1000; port++) loop.admit(ip("192.0.2.1"), port);
  loop.rules.endAll("drained");
  expect(loop.rules.active).toBe(0);
  expect(loop.column("udpClosedBy", "drained")).toBe(1000);
  expect(new Int32Array(loop.tables.control)[CONTROL.udpActive]).toBe(0);
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
            if (seenMs + timeoutMs <= endMs - 50) lastSeenMs.delete(key);
          // One that is due within the grain, and the tick by whose time it is judged, may have ended or not: then what
          // follows would be ambiguous.
          fc.pre([...lastSeenMs.values()].every((seenMs) => seenMs + timeoutMs > endMs));
        } else {
          const key = `${step.client}/${step.local}`;
          const verdict = loop.admit(ip(`10.${step.client}.0.1`), 1000 + step.client, step.local);
          const known = lastSeenMs.has(key);
          expect(verdict).toBe(!known && lastSeenMs.size < cap ? FIRST : ECHO);
          if (known || verdict === FIRST) lastSeenMs.set(key, loop.clock.nowMs);
        }
        expect(loop.rules.active).toBe(lastSeenMs.size);
      }
    }),
    { numRuns: 200 },
  );
});
