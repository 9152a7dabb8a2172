import { describe, expect, test } from "bun:test";
import type { LoopSettings } from "../../src/engine/loop.ts";
import { TcpRules } from "../../src/rules/tcp.ts";
import {
  AWAITING_HEADER,
  AWAITING_LATE_HEADER,
  FREE,
  OPEN,
  type Phase,
  REFUSED,
} from "../../src/rules/tcp-phase.ts";
import { COUNTER, PROXY_KINDS, TCP_CLOSES, TCP_REFUSALS } from "../../src/state/counters.ts";
import { CONTROL, makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
import { HandClock, ip, settings, text } from "./fixtures.ts";

const SERVER = ip("10.0.0.1");
const HEADER = "PROXY TCP4 203.0.113.7 10.0.0.1 4242 1234\r\n";

/** The rules of one loop, with a clock in hand, and an engine that does as they say. */
class Loop {
  readonly clock = new HandClock();
  readonly rules: TcpRules;
  readonly idled: number[] = [];
  /** When bytes last moved as the kernel knows, by slot. */
  readonly movedMs = new Map<number, number>();

  constructor(
    changes: Partial<LoopSettings> = {},
    readonly tables: SharedTables = makeSharedTables(1, 100),
    loop = 0,
  ) {
    this.rules = new TcpRules(settings(changes), tables, loop, 100, this.clock);
  }

  open(slot: number, client = "192.0.2.1", port = 5000): Phase {
    return this.rules.open(slot, ip(client), port, SERVER, 1234);
  }

  send(slot: number, words: string): Phase {
    return this.rules.header(slot, new TextEncoder().encode(words));
  }

  /** Time passes, in ticks as a loop's. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(Math.min(10, left));
      this.rules.sweep({
        lastMovedMs: (slot) => this.movedMs.get(slot) ?? this.rules.lastActiveMs[slot]!,
        idle: (slot) => {
          this.idled.push(slot);
          this.rules.close(slot, "idle_timeout");
        },
        headerTimeout: (slot) => {
          if (this.rules.headerEnd(slot, "proxy_timeout") === REFUSED) this.rules.close(slot, "refused");
        },
      });
    }
  }

  get banner(): string {
    return text(this.rules.banner.bytes.subarray(0, this.rules.opened.bannerLength));
  }

  refused(reason: (typeof TCP_REFUSALS)[number]): number {
    return this.rules.counters[COUNTER.tcpRefused + TCP_REFUSALS.indexOf(reason)]!;
  }

  closedBy(reason: (typeof TCP_CLOSES)[number]): number {
    return this.rules.counters[COUNTER.tcpClosedBy + TCP_CLOSES.indexOf(reason)]!;
  }

  activeEverywhere(): number {
    return new Int32Array(this.tables.control)[CONTROL.tcpActive]!;
  }
}

describe("a session", () => {
  test("opens with a banner of its two ends, and closes", () => {
    const loop = new Loop();
    expect(loop.rules.phase(7)).toBe(FREE);
    expect(loop.open(7)).toBe(OPEN);
    expect(loop.rules.phase(7)).toBe(OPEN);
    expect(loop.banner).toEndWith("\nServer: 10.0.0.1:1234\nClient: 192.0.2.1:5000\n\n");
    expect(loop.rules.opened.pending.length).toBe(0);
    expect([loop.rules.active, loop.activeEverywhere(), loop.rules.counters[COUNTER.tcpOpened]]).toEqual([
      1, 1, 1,
    ]);
    loop.clock.advance(1500);
    expect(loop.rules.age(7)).toBe(1.5);
    loop.rules.close(7, "client");
    expect(loop.rules.phase(7)).toBe(FREE);
    expect([loop.rules.active, loop.activeEverywhere(), loop.rules.counters[COUNTER.tcpClosed]]).toEqual([
      0, 0, 1,
    ]);
    expect(loop.closedBy("client")).toBe(1);
    expect(loop.rules.counters[COUNTER.tcpDuration + 4]).toBe(1); // up to 10 s
  });

  test("opens without a banner where banners are off", () => {
    const loop = new Loop({ banner: false });
    expect(loop.open(0)).toBe(OPEN);
    expect(loop.rules.opened.bannerLength).toBe(0);
  });
});

describe("refused is", () => {
  test("the one above the cap, and nobody's place is lost by it", () => {
    const loop = new Loop({ maxTcpSessions: 2 });
    expect([0, 1, 2, 2, 2].map((slot) => loop.open(slot))).toEqual([OPEN, OPEN, REFUSED, REFUSED, REFUSED]);
    expect(loop.refused("max_sessions")).toBe(3);
    expect([loop.rules.active, loop.activeEverywhere(), loop.rules.counters[COUNTER.tcpOpened]]).toEqual([
      2, 2, 2,
    ]);
    loop.rules.close(0, "client");
    expect([0, 2].map((slot) => loop.open(slot))).toEqual([OPEN, REFUSED]);
  });

  test("the one above the cap of all loops together", () => {
    const tables = makeSharedTables(2, 100);
    const [one, two] = [0, 1].map((at) => new Loop({ maxTcpSessions: 2 }, tables, at));
    expect([one!.open(0), two!.open(0), one!.open(1), two!.open(1)]).toEqual([OPEN, OPEN, REFUSED, REFUSED]);
    one!.rules.close(0, "client");
    expect(two!.open(1)).toBe(OPEN);
  });

  test("the one above its client's cap, whose place in the server's cap is given back", () => {
    const loop = new Loop({ maxTcpSessionsPerClient: 2 });
    const phases = [loop.open(0), loop.open(1), loop.open(2), loop.open(2, "192.0.2.2")];
    expect(phases).toEqual([OPEN, OPEN, REFUSED, OPEN]);
    expect(loop.refused("max_sessions_per_client")).toBe(1);
    expect(loop.activeEverywhere()).toBe(3);
    loop.rules.close(1, "reset");
    expect([loop.open(1), loop.open(3)]).toEqual([OPEN, REFUSED]);
  });

  test("a newcomer while the server drains", () => {
    const loop = new Loop();
    loop.open(0);
    new Int32Array(loop.tables.control)[CONTROL.draining] = 1;
    expect(loop.open(1)).toBe(REFUSED);
    expect(loop.refused("draining")).toBe(1);
    expect(loop.rules.phase(0)).toBe(OPEN);
  });
});

describe("the idle timeout", () => {
  test("ends a session that moves no byte, at its time", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.pass(990);
    expect(loop.idled).toEqual([]);
    loop.pass(60);
    expect(loop.idled).toEqual([0]);
    expect(loop.rules.active).toBe(0);
  });

  test("counts from the last byte, each session for itself", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.open(1);
    loop.pass(700);
    loop.rules.lastActiveMs[1] = loop.clock.nowMs;
    loop.pass(700);
    expect(loop.idled).toEqual([0]);
    loop.pass(250);
    expect(loop.idled).toEqual([0]);
    loop.pass(100);
    expect(loop.idled).toEqual([0, 1]);
  });

  test("is put off by a byte shortly after the start, by as much", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.pass(150);
    loop.rules.lastActiveMs[0] = loop.clock.nowMs;
    loop.pass(990);
    expect(loop.idled).toEqual([]);
    loop.pass(60);
    expect(loop.idled).toEqual([0]);
  });

  test("does not follow a slot to its next session", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.pass(900);
    loop.rules.close(0, "client");
    loop.open(0);
    loop.pass(900);
    expect(loop.idled).toEqual([]);
  });

  test("is put off by what the kernel moved, to a timeout after that", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.movedMs.set(0, loop.clock.nowMs + 600);
    loop.pass(1590);
    expect(loop.idled).toEqual([]);
    loop.pass(60);
    expect(loop.idled).toEqual([0]);
  });

  test("can be off", () => {
    const loop = new Loop({ tcpIdleTimeoutMs: 0 });
    loop.open(0);
    loop.pass(10_000);
    expect(loop.idled).toEqual([]);
  });
});

describe("where a PROXY header is due", () => {
  test("the session waits for it, and then names its source and the proxy", () => {
    const loop = new Loop({ proxyProtocol: "require" });
    expect(loop.open(0)).toBe(AWAITING_HEADER);
    expect(loop.send(0, HEADER.slice(0, 20))).toBe(AWAITING_HEADER);
    expect(loop.rules.phase(0)).toBe(AWAITING_HEADER);
    expect(loop.send(0, `${HEADER.slice(20)}hello`)).toBe(OPEN);
    expect(text(loop.rules.opened.pending)).toBe("hello");
    expect(loop.banner).toEndWith("\nClient: 203.0.113.7:4242\nVia: 192.0.2.1:5000\n\n");
    expect(loop.rules.counters[COUNTER.proxyHeaders + PROXY_KINDS.indexOf("v1")]).toBe(1);
    expect(loop.rules.counters[COUNTER.tcpReceivedBytes]).toBe(5); // the header is not payload
  });

  test("the next session's banner has nothing of the last one's", () => {
    const loop = new Loop({ proxyProtocol: "accept", proxyTrusted: ["192.0.2.0/24"] });
    loop.open(0);
    loop.send(0, `${HEADER}hello`);
    expect(loop.open(1, "198.51.100.1")).toBe(OPEN);
    expect(loop.rules.opened.pending.length).toBe(0);
    expect(loop.banner).toEndWith("\nClient: 198.51.100.1:5000\n\n");
    expect(loop.banner).not.toContain("Via");
  });

  test("the cap per client goes by the client that the header names", () => {
    const loop = new Loop({ proxyProtocol: "require", maxTcpSessionsPerClient: 1 });
    for (const slot of [0, 1]) expect(loop.open(slot)).toBe(AWAITING_HEADER);
    expect([loop.send(0, HEADER), loop.send(1, HEADER)]).toEqual([OPEN, REFUSED]);
    expect(loop.refused("max_sessions_per_client")).toBe(1);
    loop.rules.close(1, "refused");
    loop.open(1);
    expect(loop.send(1, HEADER.replace("203.0.113.7", "203.0.113.8"))).toBe(OPEN);
    loop.rules.close(0, "client");
    loop.open(0);
    expect(loop.send(0, HEADER)).toBe(OPEN);
  });

  test("after it the idle timeout holds, and not the header's", () => {
    const loop = new Loop({ proxyProtocol: "require", proxyTimeoutMs: 200, tcpIdleTimeoutMs: 1000 });
    loop.open(0);
    loop.send(0, HEADER);
    loop.pass(900);
    expect(loop.idled).toEqual([]);
    loop.pass(200);
    expect(loop.idled).toEqual([0]);
  });

  test("an untrusted peer is refused under require, plain under accept", () => {
    const changes = { proxyTrusted: ["198.51.100.0/24"] };
    const require = new Loop({ ...changes, proxyProtocol: "require" });
    expect(require.open(0)).toBe(REFUSED);
    expect(require.refused("proxy_untrusted")).toBe(1);
    expect(require.activeEverywhere()).toBe(0);
    expect(new Loop({ ...changes, proxyProtocol: "accept" }).open(0)).toBe(OPEN);
  });
});

describe("where a PROXY header is late", () => {
  test("time runs out: plain under accept, refused under require", () => {
    const accept = new Loop({ proxyProtocol: "accept", proxyTimeoutMs: 500, tcpIdleTimeoutMs: 5000 });
    accept.open(0);
    accept.send(0, "PRO");
    accept.pass(600);
    expect(accept.rules.phase(0)).toBe(OPEN);
    expect(text(accept.rules.opened.pending)).toBe("PRO");
    const require = new Loop({ proxyProtocol: "require", proxyTimeoutMs: 500 });
    require.open(0);
    require.pass(600);
    expect(require.rules.phase(0)).toBe(FREE);
    expect(require.refused("proxy_timeout")).toBe(1);
    expect(require.closedBy("refused")).toBe(1);
    expect(require.activeEverywhere()).toBe(0);
  });

  test("when nothing of it came in time, accept sends the banner, and a header may still begin", () => {
    const loop = new Loop({ proxyProtocol: "accept", proxyTimeoutMs: 500, tcpIdleTimeoutMs: 5000 });
    loop.open(0);
    loop.pass(600);
    expect(loop.rules.phase(0)).toBe(AWAITING_LATE_HEADER);
    expect(loop.banner).toEndWith("\nClient: 192.0.2.1:5000\n\n");
    loop.pass(2000);
    expect(loop.send(0, HEADER.slice(0, 20))).toBe(AWAITING_LATE_HEADER);
    expect(loop.rules.heldBytes(0)).toBe(20);
    loop.pass(300);
    expect(loop.send(0, `${HEADER.slice(20)}hello`)).toBe(OPEN);
    expect([loop.rules.opened.bannerLength, text(loop.rules.opened.pending)]).toEqual([0, "hello"]);
    expect(loop.rules.opened.source).toMatchObject({ port: 4242 });
    expect(loop.rules.counters[COUNTER.proxyLate]).toBe(1);
    expect(loop.rules.counters[COUNTER.tcpReceivedBytes]).toBe(5);
    loop.pass(4990);
    expect(loop.idled).toEqual([]);
    loop.pass(300);
    expect(loop.idled).toEqual([0]);
  });

  test("one that is not finished in time is refused; part of a signature is plain", () => {
    const loop = new Loop({ proxyProtocol: "accept", proxyTimeoutMs: 500 });
    for (const slot of [0, 1]) loop.open(slot);
    loop.pass(600);
    loop.send(0, HEADER.slice(0, 20));
    loop.send(1, HEADER.slice(0, 3));
    loop.pass(600);
    expect([loop.rules.phase(0), loop.rules.phase(1)]).toEqual([FREE, OPEN]);
    expect(text(loop.rules.opened.pending)).toBe("PRO");
    expect(loop.refused("proxy_timeout")).toBe(1);
    expect(loop.rules.counters[COUNTER.proxyLate]).toBe(0);
  });
});
