import { describe, expect, test } from "bun:test";
import { Members } from "../../src/admin/mesh/members.ts";
import { until } from "../harness.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf } from "./fixtures.ts";
import { endless, hostile, says, silent } from "./hostile.ts";

/** Asking members for their rows and names: bounded in time, bytes and number, and for nobody's nonsense. */

const HOSTS = Array.from({ length: 60 }, (_, index) => `127.0.1.${index + 1}`);

function rowText(self: string): string {
  const known = knowledgeOf({ self: { name: self, node: `node-of-${self}` } });
  known.take({ roster: rosterOf({ addresses: addresses(3) }) }, at(0));
  answerAll(known, at(1));
  return JSON.stringify(known.ownRow(at(2)));
}

/** Servers of the same port, each on an address of its own. */
function serversOn(hosts: readonly string[], behaviour: (index: number) => Parameters<typeof hostile>[0]) {
  const [first, ...others] = hosts;
  const servers = [hostile(behaviour(0), first)];
  const { port } = servers[0]!;
  for (const [index, host] of others.entries()) servers.push(hostile(behaviour(index + 1), host, port));
  return {
    ...{ port, servers },
    opened: () => servers.reduce((sum, { counts }) => sum + counts.opened, 0),
    open: () => servers.reduce((sum, { counts }) => sum + counts.open, 0),
    [Symbol.dispose]() {
      for (const server of servers) server[Symbol.dispose]();
    },
  };
}

function membersAt(port: number | null, nowMs: () => number = () => performance.now()) {
  const told = new Map<string, string>();
  const members = new Members({
    port: () => port,
    onRow: (address, { self }) => told.set(address, self),
    onMiss: (address, why) => told.set(address, why),
    nowMs,
  });
  return { members, told };
}

test("60 members at once: those that answer tell their rows, whatever the others do", async () => {
  const behaviours = [
    (index: number) => says(rowText(`pod-${index}`)),
    () => silent,
    () => endless("HTTP/1.1 200 OK\r\n\r\n[", '{"name":"x"},'.repeat(1000)),
    () => says("<html>"),
    () => says("{}"),
    () => says("not here", "404 Not Found"),
  ];
  using fleet = serversOn(HOSTS, (index) => behaviours[index % behaviours.length]!(index));
  const { members, told } = membersAt(fleet.port);
  await members.askAll(HOSTS);
  expect(told.size).toBe(50); // nobody waits for those from whom nothing comes
  await until("the others are given up", () => told.size === 60);
  const wanted = [
    /^pod-\d+$/,
    /^no answer within/,
    /more than/,
    /^what it answered is no JSON$/,
    /no row of a mesh$/,
    /status 404$/,
  ];
  for (const [index, host] of HOSTS.entries())
    expect(told.get(host)!).toMatch(wanted[index % wanted.length]!);
  expect(members.refused).toEqual({ no_answer: 10, too_large: 10, malformed: 30 });
  expect(fleet.opened()).toBe(60);
  await until("all connections are closed", () => fleet.open() === 0);
});

test("members that say nothing keep no round waiting, and have one question each, however often one asks", async () => {
  const hosts = HOSTS.slice(0, 12);
  using fleet = serversOn(hosts, (index) => (index === 11 ? says(rowText("pod-11")) : silent));
  const { members, told } = membersAt(fleet.port);
  for (let round = 0; round < 3; round++) {
    await members.askAll(hosts);
    expect([...told]).toEqual([[hosts[11]!, "pod-11"]]);
  }
  expect(fleet.opened()).toBe(11 + 3);
  await until("the silent ones are given up", () => told.size === 12);
  expect(members.refused.no_answer).toBe(11);
  await until("all connections are closed", () => fleet.open() === 0);
});

test("whoever was silent the last time is asked after the others", async () => {
  using fleet = serversOn(HOSTS, (index) => (index === 59 ? says(rowText("pod-59")) : says("{}")));
  const { members, told } = membersAt(fleet.port);
  await members.askAll(HOSTS);
  expect([...told.keys()].length).toBe(60);
  told.clear();
  await members.askAll(HOSTS);
  expect([...told.keys()][0]).toBe(HOSTS[59]!);
});

describe("names", () => {
  test("are asked for at once, a few at a time; who tells none is asked again, less and less often", async () => {
    let nowMs = 0;
    let answering = false;
    const hosts = HOSTS.slice(0, 11);
    using fleet = serversOn(hosts, (index) => (socket) => {
      (answering ? says(rowText(`pod-${index}`)) : says("{}"))(socket);
    });
    const peers = hosts.slice(0, 10);
    const bystander = hosts[10]!;
    const { members, told } = membersAt(fleet.port, () => nowMs);
    const asked = (): number => fleet.opened() - fleet.servers[10]!.counts.opened;
    const askedBy = async (count: number): Promise<void> => {
      await until(`asked ${count} times`, () => {
        members.askNames(peers);
        return asked() >= count && fleet.open() === 0;
      });
      expect(asked()).toBe(count);
    };
    /** Whoever is asked for a name now is asked before the bystander is. */
    const askedNow = async (): Promise<number> => {
      const before = asked();
      members.askNames(peers);
      await members.askAll([bystander]);
      return asked() - before;
    };
    expect(await askedNow()).toBe(4);
    await askedBy(10);
    expect(await askedNow()).toBe(0);
    nowMs = 1000;
    await askedBy(20);
    nowMs = 2999; // twice as long now
    expect(await askedNow()).toBe(0);
    answering = true;
    nowMs = 3000;
    await askedBy(30);
    await until("all have told their names", () =>
      peers.every((_, index) => told.get(peers[index]!) === `pod-${index}`),
    );
    nowMs = 62_999;
    expect(await askedNow()).toBe(0);
    nowMs = 63_000;
    await askedBy(40);
  });

  test("are asked of nobody where it is not known where", () => {
    const { members, told } = membersAt(null);
    members.askNames(HOSTS);
    expect(told.size).toBe(0);
  });
});
