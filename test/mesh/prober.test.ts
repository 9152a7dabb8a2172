import { describe, expect, test } from "bun:test";
import pino from "pino";
import { matrixAgeMs } from "../../src/admin/mesh/answers.ts";
import { adminListening, type ProberPlan, runProber } from "../../src/admin/mesh/prober.ts";
import type { MeshResult } from "../../src/diagnose/mesh/result.ts";
import type { MeshEvent, Roster } from "../../src/diagnose/mesh/seen.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";
import type { PageFacts } from "../../src/page/facts.ts";
import { RawHttp } from "../clients/http.ts";
import { type LogLine, Metrics, startServer, until } from "../harness.ts";
import { rosterOf, seen, unanswered } from "./fixtures.ts";
import { hostile, says } from "./hostile.ts";
import { QUESTION } from "./probe-fixtures.ts";
import { MESH } from "./schema.ts";

/** A prober's life, but for the asking: what its thread tells comes out by HTTP and in the log. */

/** A prober on a free port, fed by the test. */
class FedProber implements AsyncDisposable {
  readonly log: LogLine[] = [];
  readonly ended: Promise<void>;
  url = "";
  port = 0;
  readonly #shutdown = new AbortController();
  #emit: (event: MeshEvent) => void = () => {};
  #die: (fault: Error) => void = () => {};

  private constructor(plan: Partial<ProberPlan["question"]>, podAdminPorts: ProberPlan["podAdminPorts"]) {
    const write = (line: string): void => void this.log.push(JSON.parse(line));
    const formatters = { level: (label: string) => ({ level: label }) };
    const log = pino({ level: "debug", base: null, formatters }, { write });
    this.ended = runProber(
      {
        question: { ...QUESTION, ...plan },
        self: { name: "pod-1", node: "node-1" },
        admin: adminListening(["127.0.0.1"], 0, 64),
        podAdminPorts,
      },
      {
        ...{ log, shutdown: this.#shutdown.signal, logLinesLost: () => 7 },
        ask: (_question, signal, onEvent) => {
          this.#emit = onEvent;
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          this.#die = reject;
          signal.addEventListener("abort", () => resolve());
          return promise;
        },
      },
    );
    this.ended.catch(() => {}); // the test looks at it itself
  }

  static async start(
    plan: Partial<ProberPlan["question"]> = {},
    podAdminPorts: ProberPlan["podAdminPorts"] = [],
  ): Promise<FedProber> {
    const prober = new FedProber(plan, podAdminPorts);
    await until("it is ready", () => prober.said("ready").length === 1);
    const [address] = prober.said("ready")[0]!["admin"] as string[];
    prober.port = parseEndpoint(address!)!.port;
    prober.url = `http://${address}`;
    return prober;
  }

  roster(of: Partial<Roster> & Pick<Roster, "addresses">): void {
    this.#emit({ roster: rosterOf(of) });
  }

  probe(...probes: readonly Parameters<typeof seen>[]): void {
    for (const probe of probes) this.#emit({ probe: seen(...probe) });
  }

  answer(peer: string): void {
    this.probe([peer, "tcp-new"], [peer, "tcp-held"], [peer, "udp"]);
  }

  fail(peer: string, probe: "tcp-new" | "tcp-held" | "udp"): void {
    this.#emit({ probe: unanswered(peer, probe) });
  }

  said(msg: string): LogLine[] {
    return this.log.filter((line) => line.msg === msg);
  }

  async get(
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(this.url + path, init);
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  async mesh(query = ""): Promise<MeshResult> {
    return MESH.parse(JSON.parse((await this.get(`/mesh.json${query}`)).text));
  }

  die(): void {
    this.#die(new Error("the thread ended without a word"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shutdown.abort("SIGTERM");
    await this.ended.catch(() => {});
  }
}

const [OWN, PEER, OTHER] = ["127.0.0.1", "127.0.3.2", "127.0.3.3"];

describe("by HTTP", () => {
  test("its own row, as soon as it is known, and its metrics", async () => {
    await using prober = await FedProber.start();
    expect(await prober.mesh()).toMatchObject({ self: "pod-1", pairs: [] });
    prober.roster({ addresses: [OWN, PEER] });
    prober.answer(PEER);
    const { pairs } = await prober.mesh();
    expect(pairs.map(({ to, protocol, up }) => [to, protocol, up])).toEqual([
      [PEER, "tcp", true],
      [PEER, "udp", true],
    ]);
    const { text, headers } = await prober.get("/metrics");
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const metrics = new Metrics(text);
    expect(metrics.get("echo_mesh_peers")).toBe(1);
    expect(metrics.get("echo_log_lines_lost_total")).toBe(7);
    for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"])
      expect(metrics.get(name)).toBeGreaterThan(0);
  });

  test("a protocol that is not asked has no pairs", async () => {
    await using prober = await FedProber.start({ udpPort: null });
    prober.roster({ addresses: [OWN, PEER] });
    expect((await prober.mesh()).pairs.map(({ protocol }) => protocol)).toEqual(["tcp"]);
  });

  test("its page links to the other containers of its Pod, and says how they are", async () => {
    await using server = await startServer();
    const pod = [
      { name: "tcp", port: server.adminPort },
      { name: "udp", port: 1 },
    ];
    await using prober = await FedProber.start({}, pod);
    const html = (await prober.get("/")).text;
    expect(html).toContain(
      `<a href="http://127.0.0.1:${server.adminPort}/">tcp, port ${server.adminPort}</a>`,
    );
    expect(html).toMatch(/<th scope="row">TCP<\/th><td class="n">0<\/td>/); // the sessions of its Pod
    const { containers } = JSON.parse((await prober.get("/page.json")).text) as PageFacts;
    expect(containers.map(({ name, port, self, state }) => ({ name, port, self, state }))).toEqual([
      { ...pod[0]!, self: false, state: "serving" },
      { ...pod[1]!, self: false, state: null },
    ]);
    await using alone = await FedProber.start();
    expect(JSON.parse((await alone.get("/page.json")).text)).toMatchObject({ containers: [] });
  });

  test("it is ready whatever it sees, and says so", async () => {
    await using prober = await FedProber.start();
    prober.roster({ addresses: [OWN, PEER] });
    for (const _ of [1, 2]) prober.fail(PEER, "udp");
    const { status, text } = await prober.get("/readyz");
    expect([status, text]).toEqual([
      200,
      "ready (2 pairs, 1 down, 1 unknown; this says nothing of the network's health)\n",
    ]);
    expect(await prober.get("/livez")).toMatchObject({ status: 200, text: "live\n" });
  });

  test("the page, with the matrix, and what it says of itself to other pages", async () => {
    await using prober = await FedProber.start();
    prober.roster({ addresses: [OWN, PEER] });
    prober.answer(PEER);
    const { status, text, headers } = await prober.get("/");
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(text).toContain("Prober of the mesh");
    expect(text).toContain("ready (2 pairs, 0 down, 0 unknown");
    expect(text).toContain(`>${PEER}<`); // a column's head
    expect(JSON.parse((await prober.get("/page.json")).text)).toMatchObject({ name: "pod-1", mesh: true });
    expect(JSON.parse((await prober.get("/self.json")).text)).toEqual({
      ...{ version: 1, name: "pod-1", node: "node-1", state: "serving", sessions: [] },
      uptimeMs: expect.any(Number),
    });
    for (const path of ["/page.js", "/page.css"]) expect((await prober.get(path)).status).toBe(200);
  });

  test("what is not there, not allowed or not known is refused in one line", async () => {
    await using prober = await FedProber.start();
    expect(await prober.get("/mesh")).toMatchObject({ status: 404, text: "not found\n" });
    expect(await prober.get("/mesh.json", { method: "POST" })).toMatchObject({ status: 405 });
    expect(await prober.get("/mesh.json", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    for (const query of ["scope=none", "scope=all&x", "scope=all?", "__proto__", "constructor"])
      expect(await prober.get(`/mesh.json?${query}`)).toMatchObject({
        status: 400,
        text: `?${query} is not allowed; allowed: ?scope=all, or nothing\n`,
      });
    const raw = await RawHttp.connect(prober.port);
    raw.send("GET /mesh.json?<script> HTTP/1.0\r\n\r\n");
    expect(await raw.toEnd()).toContain("content-type: text/plain");
  });

  test("all rows: each member is asked for its own; many who ask are one round", async () => {
    using peer = hostile(says("{}"), PEER);
    await using prober = await FedProber.start();
    // Its own port is where it asks the others.
    using told = hostile(says(await rowOf("pod-2")), OTHER, prober.port);
    prober.roster({ addresses: [OWN, PEER, OTHER] });
    prober.answer(PEER);
    const startMs = performance.now();
    const [first, ...others] = await Promise.all(Array.from({ length: 30 }, () => prober.mesh("?scope=all")));
    expect(others.every((other) => other.pairs.length === first!.pairs.length)).toBe(true);
    const rounds = told.counts.opened - 1; // it was asked for its name, too
    expect(rounds).toBeLessThanOrEqual(2 + (performance.now() - startMs) / 200);
    expect(peer.counts.opened).toBe(0);
    expect(first!.members.map(({ name, row }) => [name, row])).toEqual([
      ["pod-1", true],
      [PEER, false],
      ["pod-2", true],
    ]);
    const from = (name: string) => first!.pairs.filter((pair) => pair.from === name);
    expect(from("pod-1")).toHaveLength(4);
    expect(from(PEER).map(({ up }) => up)).toEqual([null, null, null, null]);
    expect(from(PEER)[0]!.why).toContain("its row did not come: no connection: refused");
    expect(from("pod-2").map(({ to, up }) => [to, up])).toEqual([
      ["pod-1", true],
      ["pod-1", true],
      [PEER, null],
      [PEER, null],
    ]);
    const unknown = prober.said("row unknown: its prober did not tell it");
    expect(unknown.map(({ why }) => typeof why)).toEqual(["string"]);
    using _back = hostile(says(await rowOf("pod-3")), PEER, prober.port);
    await until("its row is there again", async () => {
      const { members } = await prober.mesh("?scope=all");
      return members.some(({ name, row }) => name === "pod-3" && row === true);
    });
    expect(prober.said("row known again")).toHaveLength(1);
  });

  test("readers who never pause have the members asked five times a second, fewer where they are many", async () => {
    await using prober = await FedProber.start();
    using told = hostile(says(await rowOf("pod-2")), OTHER, prober.port);
    prober.roster({ addresses: [OWN, OTHER] });
    const startMs = performance.now();
    let reads = 0;
    await until("there were five rounds", async () => {
      await prober.mesh("?scope=all");
      return ++reads > 20 && told.counts.opened > 5;
    });
    expect(told.counts.opened).toBeLessThanOrEqual(3 + (performance.now() - startMs) / 200);
    expect([1, 100, 300, 5000].map(matrixAgeMs)).toEqual([200, 200, 600, 1000]);
  });
});

/** What a member of that name would tell: it asks the first one alone. */
async function rowOf(name: string): Promise<string> {
  const pair = {
    ...{ from: name, to: "first", fromNode: null, toNode: null, protocol: "tcp", up: true },
    ...{
      rttMs: null,
      connectMs: null,
      hops: null,
      sent: 1,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      corrupted: 0,
    },
    ...{ since: null, why: null },
  };
  const members = [
    { name: "first", node: null, address: OWN, row: null },
    { name, node: "node-2", address: null, row: true },
  ];
  const at = new Date(0).toISOString();
  return JSON.stringify({
    ...{ version: 1, at, self: name, intervalMs: 100, members },
    pairs: [pair, { ...pair, protocol: "udp" }],
  });
}

describe("in the log", () => {
  test("a pair that is down, why and by which flow, and up again after how long", async () => {
    await using prober = await FedProber.start();
    prober.roster({ addresses: [OWN, PEER] });
    prober.answer(PEER);
    expect(prober.said("up").map(({ protocol, level }) => [protocol, level])).toEqual([
      ["tcp", "debug"],
      ["udp", "debug"],
    ]);
    for (const _ of [1, 2, 3]) prober.fail(PEER, "udp");
    expect(prober.said("down")).toHaveLength(1);
    expect(prober.said("down")[0]).toMatchObject({ level: "warn", to: PEER, address: PEER, protocol: "udp" });
    expect(prober.said("down")[0]!["why"]).toContain(`(udp 10.0.0.1:4000 > ${PEER}:1)`);
    expect(prober.said("down")[0]!["next"]).toBe(`echo-server check udp://${PEER}:5678`);
    prober.answer(PEER);
    expect(prober.said("up again")).toHaveLength(1);
    expect(prober.said("up again")[0]!["downMs"]).toBeNumber();
  });

  test("members that come and go, names that do not resolve, members without an address", async () => {
    await using prober = await FedProber.start();
    const named = (address: string | null) => [
      { name: "s1", address: OWN },
      { name: "s2", address },
    ];
    prober.roster({ addresses: [OWN, PEER], named: named(PEER) });
    expect(prober.said("members changed").at(-1)).toMatchObject({
      ...{ members: 2, peers: 1, gone: [] },
      came: [`pod-1 (${OWN})`, `s2 (${PEER})`],
    });
    expect(prober.said("own address found")).toHaveLength(1);
    prober.roster({ addresses: [OWN], named: named(null), unresolved: "mesh: no answer", beyond: 3 });
    expect(prober.said("members changed").at(-1)).toMatchObject({
      members: 1,
      peers: 0,
      came: [],
      gone: [`s2 (${PEER})`],
    });
    expect(prober.said("member without an address: unknown")).toMatchObject([{ level: "warn", name: "s2" }]);
    expect(prober.said("name not resolved")).toMatchObject([{ level: "warn", why: "mesh: no answer" }]);
    expect(prober.log.filter(({ leftOut }) => leftOut === 3)).toHaveLength(1);
    prober.roster({ addresses: [OWN, PEER], named: named(PEER) });
    expect(prober.said("member has an address again")).toMatchObject([{ name: "s2", address: PEER }]);
    expect(prober.said("name resolved again")).toHaveLength(1);
    prober.roster({ addresses: [OWN, PEER], own: null, named: named(PEER) });
    expect(prober.log.filter(({ msg }) => msg.startsWith("own address unknown"))).toHaveLength(1);
  });

  test("of many that come at once ten are named", async () => {
    await using prober = await FedProber.start();
    const all = Array.from({ length: 50 }, (_, index) => `127.0.4.${index + 1}`);
    prober.roster({ addresses: all, own: null });
    const [line] = prober.said("members changed");
    expect(line!["came"]).toHaveLength(11);
    expect((line!["came"] as string[]).at(-1)).toBe("and 40 more");
  });
});

test("a thread that dies ends the prober, which tells of what", async () => {
  await using prober = await FedProber.start();
  prober.die();
  expect(await prober.ended.catch(String)).toContain("the thread ended without a word");
});

test("it ends at once when it shall, though the thread does not", async () => {
  const log = pino({ level: "silent" });
  const shutdown = new AbortController();
  const ended = runProber(
    { question: QUESTION, self: { name: "a", node: null }, admin: null, podAdminPorts: [] },
    { log, shutdown: shutdown.signal, logLinesLost: () => 0, ask: () => new Promise(() => {}) },
  );
  shutdown.abort("SIGTERM");
  await ended;
});
