import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { makeConnectionCounts } from "../../src/admin/http-server.ts";
import { makeProberRegistry } from "../../src/admin/mesh/metrics.ts";
import type { MeshKnowledge } from "../../src/diagnose/mesh/knowledge.ts";
import { Metrics } from "../harness.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf, SELF, seen, unanswered } from "./fixtures.ts";

/** What a scrape of a prober says, and how much of it there may be. */

const PROMTOOL = fileURLToPath(new URL("../../scripts/promtool", import.meta.url));

function registryOf(known: MeshKnowledge) {
  const refused = { no_answer: 1, too_large: 2, malformed: 3 };
  return makeProberRegistry({
    ...{ known, members: { refused }, connections: makeConnectionCounts(), version: "1.2.3" },
    logLinesLost: () => 0,
  });
}

const scrape = async (known: MeshKnowledge): Promise<Metrics> =>
  new Metrics(await registryOf(known).metrics());

const row = (self: string, node: string | null) => ({
  self,
  node,
  wallMs: 0,
  pairs: [],
  addresses: new Map(),
});

/** 32 members that must be there: as many as there may be. */
const NAMED = Array.from({ length: 32 }, (_, index) => ({
  name: `server${index}.headless`,
  address: index === 0 ? "10.0.0.1" : null,
}));

test("a pair's figures, under its names", async () => {
  const known = knowledgeOf();
  const [, peer, other] = addresses(3);
  known.take({ roster: rosterOf({ addresses: addresses(3), beyond: 4 }) }, at(0));
  known.takeRow(peer!, row("pod-2", "node-2"), at(0));
  known.take({ probe: seen(peer!, "tcp-new", { rttMs: 0.2, connectMs: 0.06 }) }, at(1));
  known.take({ probe: seen(peer!, "tcp-held", { rttMs: 3 }) }, at(2));
  known.take({ probe: seen(peer!, "udp", { rttMs: 0.04, hops: 2, duplicated: 1, reordered: 2 }) }, at(3));
  for (const ms of [4, 5]) known.take({ probe: unanswered(peer!, "udp", { corrupted: 1 }) }, at(ms));
  const metrics = await scrape(known);
  const pair = { from: SELF.name, to: "pod-2", from_node: SELF.node!, to_node: "node-2" };
  const [tcp, udp] = [
    { ...pair, protocol: "tcp" },
    { ...pair, protocol: "udp" },
  ];
  expect([metrics.get("echo_mesh_up", tcp), metrics.get("echo_mesh_up", udp)]).toEqual([1, 0]);
  expect(metrics.get("echo_mesh_sent_total", tcp)).toBe(2);
  expect(metrics.get("echo_mesh_lost_total", udp)).toBe(2);
  expect(metrics.get("echo_mesh_corrupted_total", udp)).toBe(2);
  expect(metrics.get("echo_mesh_duplicated_total", udp)).toBe(1);
  expect(metrics.get("echo_mesh_reordered_total", udp)).toBe(2);
  expect(metrics.get("echo_mesh_hops", udp)).toBe(2);
  expect(metrics.get("echo_mesh_rtt_seconds_bucket", { ...udp, le: "0.00005" })).toBe(1);
  expect(metrics.get("echo_mesh_rtt_seconds_bucket", { ...tcp, le: "0.00025" })).toBe(1);
  expect(metrics.get("echo_mesh_rtt_seconds_count", tcp)).toBe(2);
  expect(metrics.get("echo_mesh_rtt_seconds_sum", tcp)).toBeCloseTo(0.0032, 9);
  expect(metrics.get("echo_mesh_connect_seconds_bucket", { ...tcp, le: "0.0001" })).toBe(1);
  const unmeasured = { ...pair, to: other!, to_node: "" };
  expect(() => metrics.get("echo_mesh_up", { ...unmeasured, protocol: "tcp" })).toThrow(); // unknown is absent
  expect(metrics.get("echo_mesh_unknown", unmeasured)).toBe(1);
  expect(metrics.get("echo_mesh_unknown", pair)).toBe(0);
  expect([
    metrics.get("echo_mesh_members"),
    metrics.get("echo_mesh_peers"),
    metrics.get("echo_mesh_members_left_out"),
  ]).toEqual([3, 2, 4]);
  expect(metrics.get("echo_mesh_row_failures_total", { reason: "malformed" })).toBe(3);
});

describe("unknown", () => {
  const between = (to: string, to_node = "") => ({ from: SELF.name, to, from_node: SELF.node!, to_node });

  test("is a member without an address, and one that has one and is nobody's peer here is not", async () => {
    const known = knowledgeOf({ degree: 1 });
    const named = [
      { name: "server2.headless", address: "10.0.0.3" },
      { name: "server9.headless", address: null },
    ];
    known.take({ roster: rosterOf({ addresses: addresses(3), named }) }, at(0));
    answerAll(known, at(0));
    const metrics = await scrape(known);
    expect(metrics.get("echo_mesh_unknown", between("server9.headless"))).toBe(1);
    expect(metrics.get("echo_mesh_unknown", between("server2.headless"))).toBe(0);
    expect(metrics.get("echo_mesh_unknown", between("10.0.0.2"))).toBe(0);
  });

  test("is a prober to itself while it does not know its address", async () => {
    const known = knowledgeOf();
    const self = between(SELF.name, SELF.node!);
    expect((await scrape(known)).get("echo_mesh_unknown", self)).toBe(1);
    known.take({ roster: rosterOf({ addresses: addresses(1) }) }, at(0));
    expect((await scrape(known)).get("echo_mesh_unknown", self)).toBe(0);
  });
});

describe("series", () => {
  const seriesOf = async (known: MeshKnowledge): Promise<number> => (await scrape(known)).samples.size;

  test.each([1, 10, 100])(
    "are 60 and 70 times the degree at most: degree %d, 32 members that must be there",
    async (degree) => {
      const known = knowledgeOf({ degree });
      known.take({ roster: rosterOf({ addresses: addresses(degree + 5), named: NAMED }) }, at(0));
      answerAll(known, at(1));
      for (const peer of known.book.pairs.keys())
        known.take({ probe: seen(peer, "udp", { hops: 1 }) }, at(2));
      const series = await seriesOf(known);
      expect(series).toBeGreaterThan(69 * degree);
      expect(series).toBeLessThanOrEqual(60 + 70 * degree);
    },
  );

  test("of members that have gone are gone: through 500 changes of 50 members and their names the bound holds", async () => {
    const known = knowledgeOf();
    const registry = registryOf(known);
    const all = addresses(300);
    const own = all[0]!;
    for (let change = 0; change < 500; change++) {
      const first = 1 + ((change * 7) % 240);
      const present = [own, ...all.slice(first, first + 49)];
      known.take({ roster: rosterOf({ addresses: present, own, named: NAMED }) }, at(change));
      for (const peer of known.book.pairs.keys())
        known.takeRow(peer, row(`pod-${change}-${peer}`, `node-${change}`), at(change));
      answerAll(known, at(change));
      if (change % 50 !== 0) continue;
      const metrics = new Metrics(await registry.metrics());
      expect(metrics.samples.size).toBeLessThanOrEqual(60 + 70 * 10);
      const peers = [...metrics.samples.keys()].filter((key) => key.startsWith("echo_mesh_up{"));
      expect(peers).toHaveLength(20);
      expect(peers.every((key) => key.includes(`to="pod-${change}-`))).toBe(true);
    }
  });
});

test("promtool takes it, whatever a node or a name is called", async () => {
  const known = knowledgeOf({ self: { name: 'pod"1', node: "node\\1" } });
  known.take({ roster: rosterOf({ addresses: addresses(12), named: NAMED }) }, at(0));
  answerAll(known, at(1));
  const path = Bun.spawnSync([PROMTOOL]).stdout.toString().trim();
  const text = await registryOf(known).metrics();
  const check = async (metrics: string) => {
    const child = Bun.spawn([path, "check", "metrics"], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    child.stdin.write(metrics);
    await child.stdin.end();
    const [output, errors, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { output, errors, exitCode };
  };
  expect(await check(text)).toEqual({ output: "", errors: "", exitCode: 0 });
  expect((await check(text.replaceAll("echo_mesh_sent_total", "echo_mesh_sent"))).exitCode).not.toBe(0);
});
