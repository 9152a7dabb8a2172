import { expect, test } from "bun:test";
import type { Address } from "../../src/net/address.ts";
import { TcpRules } from "../../src/rules/tcp.ts";
import { UdpRules } from "../../src/rules/udp.ts";
import { DROP, FIRST, PROBE } from "../../src/rules/udp-verdict.ts";
import {
  isProbeEnd,
  PROBE_PORT,
  takeBackTcpEnd,
  takeBackUdpEnd,
  tellTcpEnd,
  tellUdpEnd,
} from "../../src/state/probe-end.ts";
import { CONTROL, makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
import { HandClock, ip, settings, text } from "../rules/fixtures.ts";

const END = ip("fd00:1:2:3:4:5:6:7");

function isEnd(tables: SharedTables, { a0, a1, a2, a3 }: Address, port: number): boolean {
  return isProbeEnd(new Int32Array(tables.control), CONTROL.probeTcpEnd, a0, a1, a2, a3, port);
}

test("an end is its port and every word of its address, while it is told", () => {
  const tables = makeSharedTables(1, 0);
  expect(isEnd(tables, END, 4000)).toBe(false);
  tellTcpEnd(tables, END, 4000);
  expect(isEnd(tables, END, 4000)).toBe(true);
  expect(isEnd(tables, END, 4001)).toBe(false);
  for (const other of [
    "fd01:1:2:3:4:5:6:7",
    "fd00:1:2:4:4:5:6:7",
    "fd00:1:2:3:4:6:6:7",
    "fd00:1:2:3:4:5:6:8",
  ]) {
    expect([other, isEnd(tables, ip(other), 4000)]).toEqual([other, false]);
  }
  takeBackTcpEnd(tables);
  expect(isEnd(tables, END, 4000)).toBe(false);
  expect(isEnd(tables, ip("::"), 0)).toBe(false); // port 0 is nobody's
});

test("TCP: the probe gets its banner and is no session, at the cap, while draining, and where a header is due", () => {
  const tables = makeSharedTables(1, 0);
  const limits = { maxTcpSessions: 0, proxyProtocol: "require", proxyTrusted: ["10.0.0.0/8"] } as const;
  const rules = new TcpRules(settings(limits), tables, 0, 1, new HandClock());
  Atomics.store(new Int32Array(tables.control), CONTROL.draining, 1);
  expect(rules.openProbe(END, 4000, ip("::1"), 1234)).toBe(false);
  tellTcpEnd(tables, END, 4000);
  expect(rules.openProbe(END, 4000, ip("::1"), 1234)).toBe(true);
  const banner = text(rules.banner.bytes.subarray(0, rules.opened.bannerLength));
  expect(banner).toEndWith("Server: [::1]:1234\nClient: [fd00:1:2:3:4:5:6:7]:4000\n\n");
  expect(rules.active).toBe(0);
  expect(Atomics.load(new Int32Array(tables.control), CONTROL.tcpActive)).toBe(0);
  expect(rules.counters.every((number) => number === 0)).toBe(true);
});

test("UDP: the probe is echoed at the cap and past the loop guard; its port elsewhere is a client's", () => {
  const tables = makeSharedTables(1, 0);
  const wanted = settings({ maxUdpSessions: 1, udpBlockedSourcePorts: [4001] });
  const rules = new UdpRules(wanted, tables, 0, new HandClock());
  const { a0, a1, a2, a3 } = END;
  const admit = (port: number, last = a3) => rules.admit(a0, a1, a2, last, port, 0, 10);

  tellUdpEnd(tables, END, 4001);
  expect(admit(4001)).toBe(PROBE);
  expect(rules.counters.every((number) => number === 0)).toBe(true);
  expect(admit(4001, a3 + 1)).toBe(DROP); // blocked for everybody else
  takeBackUdpEnd(tables);
  expect(admit(4001)).toBe(DROP);

  tellUdpEnd(tables, END, 4000);
  expect(admit(4000, a3 + 1)).toBe(FIRST);
  expect(admit(4000)).toBe(PROBE); // the table is full
  expect(admit(4001)).toBe(DROP);
  // A loop that takes a dead one's place writes what the loop guard has against ports; the probe's bit stays.
  const heir = new UdpRules(wanted, tables, 0, new HandClock());
  heir.guardOwnPort(4000);
  expect(heir.admit(a0, a1, a2, a3, 4000, 0, 10)).toBe(PROBE);
  expect(heir.admit(a0, a1, a2, a3 + 1, 4000, 0, 10)).toBe(DROP);
  takeBackUdpEnd(tables);
  expect(new Uint8Array(tables.sourcePorts).some((mark) => (mark & PROBE_PORT) !== 0)).toBe(false);
});
