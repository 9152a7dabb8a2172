import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cached } from "../src/admin/cached.ts";
import { clientFacts, toldClients } from "../src/admin/clients.ts";
import { commandsFor, shellLine, type Whereabouts } from "../src/admin/commands.ts";
import { type AdminFacts, serverPage } from "../src/admin/facts.ts";
import { Readiness } from "../src/admin/health.ts";
import { containersOfPod, fleetFacts } from "../src/admin/neighbours.ts";
import { parseEndpoint } from "../src/net/endpoint.ts";
import type { FleetFacts } from "../src/page/facts.ts";
import { makeSharedTables } from "../src/state/shared.ts";
import { freePort } from "./clients/neighbours.ts";
import { FakeAdmin, hostile, selfOf } from "./page/pod.ts";

/** What the page's facts are made of, piece by piece. */

const end = (text: string) => parseEndpoint(text)!;

describe("the fleet", () => {
  test("each member is asked once at its own address who it is and how; the silent, the dead and this one are not guessed at", async () => {
    const port = freePort("127.0.0.2");
    const at = (hostname: string, name: string, state: "serving" | "draining") =>
      new FakeAdmin({ "/self.json": () => Response.json(selfOf(name, { state })) }, { hostname, port });
    using one = at("127.0.0.2", "server1-abc", "serving");
    using two = at("127.0.0.3", "server2-def", "draining");
    using unnamed = at("127.0.0.4", "pool-xyz", "serving");
    using liar = new FakeAdmin({ "/self.json": () => new Response("<b>") }, { hostname: "127.0.0.5", port });
    const found = [
      {
        name: "headless",
        addresses: ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"],
      },
      { name: "server1.headless", addresses: ["127.0.0.2"] },
      { name: "server2.headless", addresses: ["127.0.0.3"] },
      { name: "server3.headless", addresses: [] },
    ];
    const self = selfOf("me", { state: "not_ready" });
    const fleet = await fleetFacts(found, ["127.0.0.3", "127.0.0.8"], port, ["127.0.0.1", "127.0.0.7"], self);
    const row = (name: string, address: string | null, node: string | null, state: FleetFacts["state"]) => ({
      ...{ name, node, addresses: address === null ? [] : [address], state, self: name === "me" },
    });
    expect(fleet).toEqual([
      row("server1.headless", "127.0.0.2", "node-of-server1-abc", "serving"),
      row("server2.headless", "127.0.0.3", "node-of-server2-def", "draining"),
      row("server3.headless", null, null, null),
      row("pool-xyz", "127.0.0.4", "node-of-pool-xyz", "serving"),
      row("127.0.0.5", "127.0.0.5", null, null),
      row("127.0.0.6", "127.0.0.6", null, null),
      row("me", "127.0.0.7", "node-of-me", "not_ready"),
      row("127.0.0.8", "127.0.0.8", null, null),
    ]);
    for (const { asked } of [one, two, unnamed, liar]) expect(asked).toEqual(["/self.json"]);
  });

  test("one that no name has is one, at an address of either version; two who call themselves alike are two", async () => {
    const port = freePort("127.0.0.2");
    const at = (hostname: string, name: string) =>
      new FakeAdmin({ "/self.json": () => Response.json(selfOf(name)) }, { hostname, port });
    using _v4 = at("127.0.0.2", "every-node-a");
    using _v6 = at("::1", "every-node-a");
    using _other = at("127.0.0.3", "every-node-a");
    const found = [
      { name: "headless", addresses: ["127.0.0.2", "127.0.0.3", "127.0.0.7", "::1", "fd00::7"] },
    ];
    const fleet = await fleetFacts(found, [], port, ["127.0.0.7", "fd00::7"], selfOf("me"));
    expect(fleet.map(({ name, addresses, self }) => [name, addresses, self])).toEqual([
      ["every-node-a", ["127.0.0.2", "::1"], false],
      ["every-node-a", ["127.0.0.3"], false],
      ["me", ["127.0.0.7", "fd00::7"], true],
    ]);
  });

  test("of many, the first are asked, some at a time, and the rest did not say", async () => {
    const port = freePort("127.0.0.1");
    using everybody = new FakeAdmin(
      { "/self.json": () => Response.json(selfOf("x")) },
      { hostname: "0.0.0.0", port },
    );
    const addresses = Array.from({ length: 200 }, (_, at) => `127.0.1.${at + 1}`);
    const fleet = await fleetFacts([{ name: "headless", addresses }], [], port, [], selfOf("me"));
    expect(fleet).toHaveLength(200);
    expect(everybody.asked.length).toBe(64);
    expect(fleet.filter(({ state }) => state === "serving")).toHaveLength(64);
    expect(fleet.map(({ addresses: [address] }) => address)).toEqual(addresses);
  });

  test("where nobody answers, a round ends all the same", async () => {
    let asked = 0;
    using silent = hostile(() => {
      asked++;
    });
    const found = Array.from({ length: 64 }, (_, at) => ({ name: `m${at}`, addresses: ["127.0.0.1"] }));
    const all = { name: "headless", addresses: [] };
    const fleet = await fleetFacts([all, ...found], [], silent.port, [], selfOf("me"));
    expect(fleet.filter(({ state }) => state === null)).toHaveLength(64);
    expect(asked).toBeWithin(16, 49); // sixteen at once, for a second each, and no more of them after two seconds
  });
});

test("containers listen where this one does: a wildcard is asked by loopback, an address as it is", async () => {
  using here = new FakeAdmin({ "/self.json": () => Response.json(selfOf("x")) }, { hostname: "127.0.0.9" });
  const ports = [
    { name: "me", port: 1 },
    { name: "udp", port: here.port },
  ];
  const states = async (own: string) =>
    (await containersOfPod(ports, end(own), selfOf("me", { state: "draining" }))).map(({ state }) => state);
  expect(await states("127.0.0.9:1")).toEqual(["draining", "serving"]);
  expect(await states("[::]:1")).toEqual(["draining", null]); // nobody at 127.0.0.1
});

describe("a cached result", () => {
  test("is fresh, then stale while the next is made, then waited for; many share one round", async () => {
    let nowMs = 0;
    let rounds = 0;
    let release = () => {};
    const ask = cached(
      () => {
        rounds++;
        const { promise, resolve } = Promise.withResolvers<number>();
        const mine = rounds;
        release = () => resolve(mine);
        return promise;
      },
      { freshMs: 10, staleMs: 100 },
      () => nowMs,
    );
    const first = [ask(), ask(), ask()];
    release();
    expect(await Promise.all(first)).toEqual([1, 1, 1]);
    nowMs = 10;
    expect(await ask()).toBe(1);
    expect(rounds).toBe(1);
    nowMs = 11;
    expect([await ask(), await ask()]).toEqual([1, 1]); // and the next is under way
    expect(rounds).toBe(2);
    release();
    await Promise.resolve();
    nowMs = 12;
    expect(await ask()).toBe(2);
    nowMs = 200;
    const waiting = ask();
    expect(rounds).toBe(3);
    release();
    expect(await waiting).toBe(3);
  });

  test("a failure is told to those who wait, and the next one who asks begins anew", async () => {
    let fails = true;
    const ask = cached(
      async () => {
        if (fails) throw new Error("no");
        return 1;
      },
      { freshMs: 10, staleMs: 100 },
    );
    const asked = await Promise.allSettled([ask(), ask()]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    fails = false;
    expect(await ask()).toBe(1);
  });
});

test("clients of all containers are one list, newest first; those that are members of the fleet are told by their address", () => {
  const fleet: FleetFacts[] = [
    { name: "server1.headless", node: null, addresses: ["10.0.0.1", "fd00::1"], state: null, self: false },
  ];
  const client = (text: string, protocol: "tcp" | "udp", hour: number) => ({
    ...{ openedAtMs: Date.UTC(2026, 10, 26, hour), client: end(text), protocol },
    ...{ sessions: 2, bytes: 30, open: true },
  });
  const own = toldClients([client("10.0.0.2:4000", "tcp", 2), client("10.0.0.1:4000", "tcp", 0)]);
  const beside = toldClients([client("[fd00::1]:5", "udp", 3), client("10.0.0.2:4000", "udp", 1)]);
  const told = clientFacts([own, toldClients(null), beside], fleet);
  expect(told!.map(({ protocol, member }) => [protocol, member])).toEqual([
    ["UDP", "server1.headless"],
    ["TCP", null],
    ["UDP", null],
    ["TCP", "server1.headless"],
  ]);
  expect(told![3]).toEqual({
    ...{ at: "2026-11-26T00:00:00.000Z", client: "10.0.0.1:4000", protocol: "TCP", sessions: 2, bytes: 30 },
    ...{ open: true, member: "server1.headless" },
  });
  expect(clientFacts([toldClients(null), toldClients(null)], fleet)).toBeNull();
  expect(clientFacts([toldClients(null), toldClients([])], fleet)).toEqual([]);
});

test("a server whose own echo fails is not ready, and says why", async () => {
  const bound = { tcp: [end(`127.0.0.1:${freePort("127.0.0.1")}`)], udp: [] };
  const tables = makeSharedTables(1, 0);
  const settings = {
    proxyProtocol: "off",
    proxyTrusted: [],
    maxTcpSessions: 10,
  } as unknown as AdminFacts["settings"];
  const readiness = new Readiness(tables, bound, settings, 1000);
  const facts: AdminFacts = {
    ...{ tables, bound, settings, version: "1", engine: "linux", engineReason: "a test", podAdminPorts: [] },
    ...{ place: { pod: "<b>", node: undefined, namespace: undefined } },
    workerRestarts: () => 0,
    logLinesLost: () => 0,
  };
  try {
    const page = serverPage(facts, readiness, end("127.0.0.1:1"), {});
    expect(await page.self()).toMatchObject({ name: "<b>", node: null, state: "not_ready" });
    const { state, stateText, fleet, containers, clients } = await page.facts();
    expect([state, stateText]).toEqual(["not_ready", "not ready: tcp: cannot connect: ECONNREFUSED"]);
    expect([fleet, containers, clients]).toEqual([[], [], null]);
  } finally {
    readiness.close();
  }
});

describe("commands to copy", () => {
  const here: Whereabouts = {
    ...{ inCluster: true, dnsName: "server1.headless", pod: "server1-abc", namespace: "echo-server" },
    ...{ tcp: end("10.244.1.2:1234"), udp: null, adminPorts: [8080, 8081] },
  };
  const texts = (changed: Partial<Whereabouts> = {}) =>
    commandsFor({ ...here, ...changed }).map(({ text }) => text);

  test("by this Pod's name where it has one, else by its address; for the protocols it serves, at their ports", () => {
    expect(texts()).toEqual([
      "nc server1.headless 1234",
      "echo-server check tcp://server1.headless:1234",
      "echo-server watch tcp://server1.headless:1234",
      "echo-server fleet --namespace echo-server",
      "kubectl port-forward --namespace echo-server pod/server1-abc 8080 8081",
    ]);
    const pool = { dnsName: null, tcp: end("[fd00::7]:99"), udp: end("10.0.0.7:5678"), namespace: null };
    expect(texts(pool)).toEqual([
      "nc fd00::7 99",
      "nc -u 10.0.0.7 5678",
      "echo-server check 'tcp://[fd00::7]:99' udp://10.0.0.7:5678",
      "echo-server watch 'tcp://[fd00::7]:99'",
      "echo-server fleet",
      "kubectl port-forward pod/server1-abc 8080 8081",
    ]);
  });

  test("outside of a cluster nothing of kubectl; of a prober, which serves nobody, nothing to connect to", () => {
    expect(texts({ inCluster: false, dnsName: null })).toEqual([
      "nc 10.244.1.2 1234",
      "echo-server check tcp://10.244.1.2:1234",
      "echo-server watch tcp://10.244.1.2:1234",
    ]);
    expect(texts({ tcp: null })).toHaveLength(2);
    expect(texts({ tcp: null, pod: null })).toEqual(["echo-server fleet --namespace echo-server"]);
  });

  test("whatever the words are, a shell takes each as it is and runs nothing", async () => {
    const words = [
      "plain",
      "$(touch x)",
      "a'b",
      'c"d',
      "; reboot",
      "`id`",
      "",
      "*",
      "é\n",
      "\\",
      "-n",
      "[ab]",
    ];
    const cwd = mkdtempSync(join(tmpdir(), "words-"));
    writeFileSync(join(cwd, "a"), ""); // what [ab] and * would find
    const child = Bun.spawn(["sh", "-c", `printf '%s|' ${shellLine(...words)}`], { cwd, stdout: "pipe" });
    expect(await child.stdout.text()).toBe(words.map((word) => `${word}|`).join(""));
    expect(readdirSync(cwd)).toEqual(["a"]);
    rmSync(cwd, { recursive: true });
  });
});
