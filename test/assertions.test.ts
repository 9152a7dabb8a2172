import { describe, expect, test } from "bun:test";
import { type Connection, Connections } from "../src/engine/bun/connections.ts";
import { BLOCKED, Session } from "../src/engine/bun/session.ts";
import { SendQueues } from "../src/engine/linux/send-queues.ts";
import { TcpRules } from "../src/rules/tcp.ts";
import { FREE } from "../src/rules/tcp-phase.ts";
import { UdpRules } from "../src/rules/udp.ts";
import { UdpTable } from "../src/rules/udp-table.ts";
import { DeadlineWheel } from "../src/rules/wheel.ts";
import { COLUMNS, COUNTER, TCP_CLOSES } from "../src/state/counters.ts";
import { SEED_WORDS } from "../src/state/hash.ts";
import { CONTROL, makeSharedTables } from "../src/state/shared.ts";
import { HandClock, ip, settings } from "./rules/fixtures.ts";

/** What must hold is checked where a session begins and ends. A check that fails throws, and changes no counter. */

const CLIENT = ip("192.0.2.1");
const SERVER = ip("10.0.0.1");

function tcp() {
  const tables = makeSharedTables(1, 0);
  const rules = new TcpRules(settings({ tcpIdleTimeoutMs: 1000 }), tables, 0, 10, new HandClock());
  const control = new Int32Array(tables.control);
  return { rules, open: (slot: number) => rules.open(slot, CLIENT, 5000, SERVER, 1234), control };
}

describe("a TCP slot", () => {
  test("that has a session begins no other, and one close sets it right", () => {
    const { rules, open, control } = tcp();
    open(3);
    expect(() => open(3)).toThrow("slot 3 has a session already");
    expect([rules.active, control[CONTROL.tcpActive], rules.counters[COUNTER.tcpOpened]]).toEqual([1, 1, 1]);
    rules.close(3, "fault");
    expect([rules.active, control[CONTROL.tcpActive], rules.phase(3)]).toEqual([0, 0, FREE]);
    expect(rules.counters[COUNTER.tcpClosedBy + TCP_CLOSES.indexOf("fault")]).toBe(1);
    open(3);
    expect(rules.active).toBe(1);
  });

  test("that is free has no session to close", () => {
    const { rules, open, control } = tcp();
    open(3);
    expect(() => rules.close(4, "client")).toThrow("slot 4 has no session to close");
    rules.close(3, "client");
    expect(() => rules.close(3, "client")).toThrow("slot 3 has no session to close");
    expect([rules.active, control[CONTROL.tcpActive], rules.counters[COUNTER.tcpClosed]]).toEqual([0, 0, 1]);
  });

  test("does not end a session where none is active", () => {
    const { rules, open } = tcp();
    open(3);
    rules.active = 0;
    expect(() => rules.close(3, "client")).toThrow("more sessions end than there are");
    expect(rules.active).toBe(0);
  });
});

test("a watched slot is not watched a second time, and its deadline stands", () => {
  const wheel = new DeadlineWheel(4, 1000, 100, 0);
  wheel.add(1, 300);
  wheel.add(2, 300);
  expect(() => wheel.add(1, 700)).toThrow("slot 1 is watched already");
  const due: number[] = [];
  const check = (slot: number): number => {
    due.push(slot);
    return 0;
  };
  wheel.advance(300, check);
  expect(due.toSorted()).toEqual([1, 2]);
  wheel.advance(2000, check);
  expect(due.length).toBe(2);
});

describe("a UDP session", () => {
  test("that is not in the table is not taken out of it", () => {
    const table = new UdpTable(4, new Int32Array(SEED_WORDS).fill(1));
    const hash = table.hash.of(0, 0, 0, 1, 5000);
    const session = table.add(table.find(hash, 0, 0, 0, 1, 5000), 0, 0, 0, 1, 5000);
    expect(() => table.remove(session + 1)).toThrow(`UDP session ${session + 1} is not in the table`);
    table.remove(session);
    expect(() => table.remove(session)).toThrow(`UDP session ${session} is not in the table`);
  });

  test("does not end where none is active", () => {
    const rules = new UdpRules(settings(), makeSharedTables(1, 0), 0, new HandClock());
    rules.admit(0, 0, 0, 1, 5000, 0, 10);
    rules.active = 0;
    expect(() => rules.endAll("drained")).toThrow("more UDP sessions end than there are");
  });
});

describe("a queue", () => {
  test("of the Linux engine gives no more bytes than it has", () => {
    const counters = new Float64Array(COLUMNS);
    const queues = new SendQueues(counters, 1000);
    queues.add(5, new Uint8Array(10));
    expect(() => queues.sent(5, 11)).toThrow("more bytes of descriptor 5 are sent than queued");
    expect(counters[COUNTER.tcpQueuedBytes]).toBe(10);
    queues.drop(5);
    expect(counters[COUNTER.tcpQueuedBytes]).toBe(0);
  });

  test("of the portable engine gives no more bytes than it has", () => {
    const session = new Session(5, BLOCKED);
    session.enqueue(new Uint8Array(10), 0);
    expect(() => session.flush({ write: () => 11 })).toThrow("more bytes of session 5 are sent than queued");
    expect(session.queuedBytes).toBe(10);
  });
});

test("a connection's slot is freed once", () => {
  const connections = new Connections();
  connections.add({} as Connection);
  connections.remove(0);
  expect(() => connections.remove(0)).toThrow("slot 0 is free already");
  expect(connections.nextSlot()).toBe(0);
});
