import { describe, expect, test } from "bun:test";
import { type Choice, type Row, rowsOf } from "../../src/diagnose/check/rows.ts";
import type { Resolution } from "../../src/diagnose/resolve.ts";
import { type Family, parseTarget } from "../../src/diagnose/targets.ts";
import { endpointOf, formatEndpoint } from "../../src/net/endpoint.ts";

const BOTH: ReadonlySet<Family> = new Set([4, 6]);

function found(...addresses: string[]): Resolution {
  return { kind: "found", ms: 1.5, addresses: addresses.map((address) => endpointOf(address, 0)!) };
}

function rows(texts: string[], names: Record<string, Resolution>, choice: Partial<Choice> = {}): Row[] {
  const all = { family: null, addressesMax: 16, here: BOTH, ...choice };
  return rowsOf(texts.map(parseTarget), new Map(Object.entries(names)), all);
}

/** `udp 10.0.0.1:5678`, or the problem where nobody is asked. */
function text(row: Row): string {
  if (row.kind === "known") return `${row.result.protocol} ${row.result.problems[0]!.says}`;
  return `${row.asked.protocol} ${formatEndpoint(row.asked.endpoint)}`;
}

function notesOf(all: readonly Row[]): string[][] {
  return all.map((row) => (row.kind === "asked" ? row.notes.map(({ says }) => says) : []));
}

describe("who is asked", () => {
  test("by target, then by address, then by protocol", () => {
    const names = { a: found("10.0.0.1", "fd00::1"), b: found("10.0.0.2") };
    expect(rows(["a", "udp://b:9", "10.0.0.3", "a:7"], names).map(text)).toEqual([
      "tcp 10.0.0.1:1234",
      "udp 10.0.0.1:5678",
      "tcp [fd00::1]:1234",
      "udp [fd00::1]:5678",
      "udp 10.0.0.2:9",
      "tcp 10.0.0.3:1234",
      "udp 10.0.0.3:5678",
      "tcp 10.0.0.1:7",
      "udp 10.0.0.1:7",
      "tcp [fd00::1]:7",
      "udp [fd00::1]:7",
    ]);
  });

  test("a result keeps what was written, the name, and how long it took; an address took no time", () => {
    const [named, , literal] = rows(["a", "fe80::1%eth0"], { a: found("10.0.0.1") });
    expect(named).toMatchObject({ asked: { target: "a", name: "a", resolveMs: 1.5 } });
    expect(literal).toMatchObject({
      asked: { target: "fe80::1%eth0", name: "fe80::1%eth0", resolveMs: null, endpoint: { zone: "eth0" } },
    });
  });

  test("a name without an address is a result for each protocol, and says which of the two it was", () => {
    const names: Record<string, Resolution> = {
      none: { kind: "none", otherFamily: false, ms: 1 },
      other: { kind: "none", otherFamily: true, ms: 1 },
      silent: { kind: "unknown", word: "DNS_ETIMEOUT", ms: 10_000 },
      dead: { kind: "unknown", word: "", ms: 12_000 },
    };
    const all = rows(["none", "udp://other", "tcp://silent", "tcp://dead"], names, { family: 6 });
    expect(all.map(text)).toEqual([
      "tcp the resolver says that there is no IPv6 address of that name: none",
      "udp the resolver says that there is no IPv6 address of that name: none",
      "udp the resolver says that other has no IPv6 address, only others",
      "tcp the resolver does not answer: nothing about silent in 10.0 s (DNS_ETIMEOUT)",
      "tcp the resolver does not answer: nothing about dead in 12.0 s",
    ]);
    for (const row of all)
      expect(row).toMatchObject({
        result: { ok: false, address: null, flows: 0, problems: [{ code: "no_such_name" }] },
      });
  });
});

describe("which of a name's addresses", () => {
  const many = found(...Array.from({ length: 20 }, (_, at) => `10.0.0.${at + 1}`));

  test("so many at most, and how many were left out is said once a protocol", () => {
    const all = rows(["a"], { a: many }, { addressesMax: 3 });
    expect(all.length).toBe(6);
    const says = ["17 of the 20 addresses of a: not measured (--max-addresses is 3)"];
    expect(notesOf(all)).toEqual([says, says, [], [], [], []]);
    expect(notesOf(rows(["a"], { a: many }, { addressesMax: 20 })).flat()).toEqual([]);
  });

  test("those of a version that this machine has not are left out, and named", () => {
    const names = { a: found("fd00::1", "10.0.0.1", "fd00::2") };
    const all = rows(["tcp://a"], names, { here: new Set<Family>([4]) });
    expect(all.map(text)).toEqual(["tcp 10.0.0.1:1234"]);
    expect(notesOf(all)[0]).toEqual([
      "fd00::1 and fd00::2 of a: not measured (this machine has no IPv6 address; -6 checks them all the same)",
    ]);
  });

  test("but not where there are no others, or that version was asked for", () => {
    const here = new Set<Family>([4]);
    const only = { a: found("fd00::1") };
    expect(rows(["tcp://a"], only, { here }).map(text)).toEqual(["tcp [fd00::1]:1234"]);
    const asked = rows(["tcp://a"], only, { here, family: 6 });
    expect([asked.map(text), notesOf(asked)]).toEqual([["tcp [fd00::1]:1234"], [[]]]);
  });
});
