import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Address, MAPPED } from "../../src/net/address.ts";
import { ClientTable } from "../../src/state/clients.ts";
import { KeyedHash, PROBES_MAX, SEED_WORDS } from "../../src/state/hash.ts";
import { makeSharedTables } from "../../src/state/shared.ts";
import { ip } from "../rules/fixtures.ts";

const FULL = "max_sessions_per_client";
const UNLIMITED = Number.MAX_SAFE_INTEGER;

describe("sessions of one client", () => {
  test("up to the cap, and again when one has left", () => {
    const table = new ClientTable(makeSharedTables(1, 8));
    const client = ip("10.0.0.1");
    expect([1, 2, 3, 4].map(() => table.enter(client, 0, 3))).toEqual([null, null, null, FULL]);
    expect(table.enter(ip("10.0.0.2"), 0, 3)).toBeNull();
    table.leave(client, 0);
    expect(table.enter(client, 0, 3)).toBeNull();
    expect(table.enter(client, 0, 3)).toBe(FULL);
  });

  test("are counted over all loops", () => {
    const tables = makeSharedTables(2, 8);
    const [one, two] = [new ClientTable(tables), new ClientTable(tables)];
    const client = ip("fd00::1");
    expect(one.enter(client, 0, 2)).toBeNull();
    expect(two.enter(client, 1, 2)).toBeNull();
    expect(one.enter(client, 0, 2)).toBe(FULL);
    two.leave(client, 1);
    expect(one.enter(client, 0, 2)).toBeNull();
  });

  test("of a dead loop are given back, and the others' are kept", () => {
    const tables = makeSharedTables(2, 64);
    const table = new ClientTable(tables);
    const clients = Array.from({ length: 40 }, (_, at) => ip(`10.0.0.${at}`));
    for (const [at, client] of clients.entries()) {
      expect(table.enter(client, 0, 2)).toBeNull();
      if (at % 2 === 0) expect(table.enter(client, 1, 2)).toBeNull();
    }
    table.forgetLoop(0);
    for (const [at, client] of clients.entries()) {
      expect(table.enter(client, 0, 2)).toBeNull();
      expect(table.enter(client, 0, 2)).toBe(at % 2 === 1 ? null : FULL);
    }
  });

  test("addresses that differ in one word are different clients", () => {
    const table = new ClientTable(makeSharedTables(1, 8));
    const base = ip("1:2:3:4:5:6:7:8");
    expect(table.enter(base, 0, 1)).toBeNull();
    for (const word of ["a0", "a1", "a2", "a3"] as const) {
      expect(table.enter({ ...base, [word]: 1 }, 0, 1)).toBeNull();
    }
    expect(table.enter(base, 0, 1)).toBe(FULL);
  });
});

describe("clients that would meet in one place", () => {
  const SEED = Int32Array.from({ length: SEED_WORDS }, (_, at) => Math.imul(at + 1, 0x9e3779b1));
  const CLIENTS = 512;

  /** IPv4 and IPv6 addresses by turns, whose hash under SEED has the same place. */
  function colliding(count: number): Address[] {
    const hash = new KeyedHash(SEED);
    const found: Address[] = [];
    for (let at = 0; found.length < count; at++) {
      const client =
        at % 2 === 0 ? { a0: 0, a1: 0, a2: MAPPED, a3: at } : { a0: 0x20010db8, a1: at, a2: 0, a3: 1 };
      const home = hash.of(client.a0, client.a1, client.a2, client.a3, 0) & (2 * CLIENTS - 1);
      if (home === 7) found.push(client);
    }
    return found;
  }

  test("are booked up to a bound, refused beyond it by reason, and booked again when one has left", () => {
    const table = new ClientTable(makeSharedTables(2, CLIENTS, undefined, SEED));
    const clients = colliding(PROBES_MAX + 10);
    const late = clients.splice(PROBES_MAX);
    for (const client of clients) expect(table.enter(client, 0, 2)).toBeNull();
    for (const client of late) expect(table.enter(client, 1, 2)).toBe("client_table");
    expect(table.enter(clients[0]!, 0, 1)).toBe(FULL);
    table.leave(late[0]!, 1); // which is not there
    table.leave(clients[5]!, 0);
    expect(table.enter(late[0]!, 1, 2)).toBeNull();
    table.forgetLoop(0);
    expect(table.enter(late[0]!, 1, 1)).toBe(FULL);
    for (const client of clients.slice(1)) expect(table.enter(client, 1, 1)).toBeNull();
  });

  test("do not meet under another secret", () => {
    const table = new ClientTable(makeSharedTables(1, CLIENTS));
    for (const client of colliding(PROBES_MAX + 10)) expect(table.enter(client, 0, 2)).toBeNull();
  });
});

test("any mix of comings and goings is counted as a Map would, in a table that is full", () => {
  const entries = 16;
  const client = fc.nat(entries - 1);
  const step = fc.record({ client, loop: fc.nat(1), enter: fc.boolean(), forget: fc.nat(40) });
  const address = (number: number): Address =>
    ip(number % 2 === 0 ? `10.0.${number}.1` : `fd00::${number}:1`);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const table = new ClientTable(makeSharedTables(2, entries));
      const model = new Map<string, number>();
      const key = (client: number, loop: number): string => `${client}/${loop}`;
      const count = (client: number): number =>
        (model.get(key(client, 0)) ?? 0) + (model.get(key(client, 1)) ?? 0);
      for (const { client, loop, enter, forget } of steps) {
        const own = model.get(key(client, loop)) ?? 0;
        if (forget === 0) {
          table.forgetLoop(loop);
          for (let at = 0; at < entries; at++) model.delete(key(at, loop));
        } else if (enter) {
          const fits = count(client) < 3;
          expect(table.enter(address(client), loop, 3)).toBe(fits ? null : FULL);
          if (fits) model.set(key(client, loop), own + 1);
        } else if (own > 0) {
          table.leave(address(client), loop);
          model.set(key(client, loop), own - 1);
        }
      }
      // What the table knows is seen by how many more fit.
      for (let at = 0; at < entries; at++) {
        let room = 0;
        while (table.enter(address(at), 0, 3) === null) room++;
        expect(room).toBe(3 - count(at));
      }
    }),
    { numRuns: 200 },
  );
});

test("the lock is free after each call", () => {
  const tables = makeSharedTables(1, 2);
  const table = new ClientTable(tables);
  table.enter(ip("10.0.0.1"), 0, UNLIMITED);
  table.leave(ip("10.0.0.1"), 0);
  table.forgetLoop(0);
  expect([...new Int32Array(tables.control)].every((word) => word === 0)).toBe(true);
});
