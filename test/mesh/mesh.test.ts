import { describe, expect, test } from "bun:test";
import { until } from "../harness.ts";
import { MeshLab, member, members, statesOf } from "./lab.ts";

/** `echo-server mesh`, beside real servers, from names to what it says. */

/** Whether the first one has peers, and all are so. */
async function areAll(lab: MeshLab, wanted: boolean): Promise<boolean> {
  const { pairs } = await lab.mesh(1);
  return pairs.length > 0 && pairs.every(({ up }) => up === wanted);
}

test("three members and one that is not there: each row and the matrix, under the names of all", async () => {
  await using lab = await MeshLab.make([1, 2, 3]);
  await using _servers = await lab.echo([1, 2, 3]);
  const args = ["--members", "s1.h,s2.h,s9.h", "--interval", "200ms"];
  // A proxy that nobody has: who asked it would get no name.
  const env = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" };
  await using _one = await lab.probe(1, args, env);
  await using _two = await lab.probe(2, args, env);
  await using _three = await lab.probe(3, args, env);
  const wanted = [1, 2, 3].flatMap((from) =>
    [1, 2, 3]
      .filter((to) => to !== from)
      .flatMap((to) => [`pod-${from} > pod-${to} tcp: up`, `pod-${from} > pod-${to} udp: up`]),
  );
  await until("all are up, to each", async () => {
    const up = statesOf((await lab.mesh(1, "?scope=all")).pairs).filter((state) => state.endsWith(": up"));
    return wanted.every((state) => up.includes(state)) && up.length === wanted.length;
  });
  for (const number of [1, 2, 3]) {
    const { members: all, pairs } = await lab.mesh(number, "?scope=all");
    expect(all.map(({ name, node, address, row }) => [name, node, address, row])).toEqual([
      ...[1, 2, 3].map((each) => [`pod-${each}`, `node-${each}`, member(each), true]),
      ["s9.h", null, null, false],
    ]);
    expect(
      pairs.filter(({ up }) => up === null).every(({ from, to }) => from === "s9.h" || to === "s9.h"),
    ).toBe(true);
    expect(pairs).toHaveLength(4 * 3 * 2);
  }
  const { pairs } = await lab.mesh(2);
  expect(new Set(pairs.map(({ from }) => from))).toEqual(new Set(["pod-2"]));
  for (const { up, rttMs, connectMs, protocol, sent, lost } of pairs.filter((pair) => pair.to !== "s9.h")) {
    expect([up, lost]).toEqual([true, 0]);
    expect(sent).toBeGreaterThan(0);
    expect(rttMs!.p50).toBeGreaterThan(0);
    expect(connectMs !== null).toBe(protocol === "tcp");
  }
  const metrics = await lab.metrics(3);
  const pair = { from: "pod-3", to: "pod-1", from_node: "node-3", to_node: "node-1" };
  expect(metrics.get("echo_mesh_up", { ...pair, protocol: "udp" })).toBe(1);
  expect(metrics.get("echo_mesh_hops", { ...pair, protocol: "udp" })).toBe(0);
  expect(metrics.get("echo_mesh_unknown", { ...pair, to: "s9.h", to_node: "" })).toBe(1);
  expect(await lab.get(1, "/readyz")).toStartWith("ready (");
});

describe("50 members, of which one is dead, one without an address, and one answered for by another", () => {
  test("are seen, each as what it is; whoever goes vanishes, and whoever comes back begins anew", async () => {
    const all = members(50);
    const [dead, impostor, goes] = [10, 20, 40];
    await using lab = await MeshLab.make(all);
    await using _servers = await lab.echo(all.filter((number) => number !== dead && number !== impostor));
    using _relay = await lab.impostor(impostor, 30);
    const args = ["--degree", "49", "--members", "s1.h,s60.h", "--interval", "1s", "--timeout", "5s"];
    await using prober = await lab.probe(1, args);
    const isBad = (to: string): boolean => [member(dead), member(impostor), "s60.h"].includes(to);
    await until("all is measured", async () => {
      const { pairs } = await lab.mesh(1);
      return pairs.length === 100 && pairs.every(({ to, up }) => up === (to === "s60.h" ? null : !isBad(to)));
    });
    const { pairs } = await lab.mesh(1);
    expect(pairs).toHaveLength(2 * 50);
    const why = (to: string) => pairs.filter((pair) => pair.to === to).map((pair) => pair.why!);
    for (const text of why(member(dead)))
      expect(text).toMatch(/refused.*\((tcp|udp) 127\.\S+ > 127\.0\.0\.10:(1234|5678)\)/);
    expect(why(member(impostor))[0]).toContain("127.0.0.30:1234 answered in its place");
    expect(why(member(impostor))[1]).toContain("127.0.0.30:5678 answered in its place");
    expect(
      prober.log
        .filter(({ msg }) => msg === "down")
        .map(({ to }) => to as string)
        .sort(),
    ).toEqual([dead, dead, impostor, impostor].map(member));
    const matrix = await lab.mesh(1, "?scope=all");
    expect(matrix.pairs.filter(({ from }) => from === member(7)).every(({ up }) => up === null)).toBe(true);

    const seriesTo = async (number: number): Promise<string[]> =>
      [...(await lab.metrics(1)).samples.keys()].filter(
        (key) => key.includes(`to="s${number}.h"`) || key.includes(`to="${member(number)}"`),
      );
    expect((await seriesTo(goes)).length).toBeGreaterThan(60);
    expect((await lab.metrics(1)).samples.size).toBeLessThanOrEqual(60 + 70 * 49);
    const goneAtMs = Date.now();
    lab.name(all.filter((number) => number !== goes && number !== dead));
    await until("those that have gone are gone", async () => (await lab.mesh(1)).pairs.length === 2 * 48);
    expect([await seriesTo(goes), await seriesTo(dead)]).toEqual([[], []]);
    lab.name(all.filter((number) => number !== dead));
    await until("the one that came back is up", async () =>
      (await lab.mesh(1)).pairs.some(({ to, up }) => to === member(goes) && up === true),
    );
    const labels = { from: "pod-1", to: member(goes), from_node: "node-1", to_node: "", protocol: "udp" };
    const sent = (await lab.metrics(1)).get("echo_mesh_sent_total", labels);
    expect(sent).toBeLessThanOrEqual(2 + (Date.now() - goneAtMs) / 1000); // nothing of before
    const [back] = (await lab.mesh(1)).pairs.filter(({ to }) => to === member(goes));
    expect(Date.parse(back!.since!)).toBeGreaterThan(goneAtMs);
  });
});

test("a server that ends is down and one that comes back is up, and the log says for how long", async () => {
  await using lab = await MeshLab.make([1, 2]);
  await using _first = await lab.echo([1]);
  await using prober = await lab.probe(1, ["--interval", "200ms", "--timeout", "300ms"]);
  {
    await using _second = await lab.echo([2]);
    await until("it is up", () => areAll(lab, true));
  }
  await until("it is down", () => areAll(lab, false));
  await using _again = await lab.echo([2]);
  await until("it is up again", () => areAll(lab, true));
  const told = prober.log.filter(({ msg }) => msg === "down" || msg === "up again");
  expect(told.map(({ msg, protocol }) => `${protocol} ${msg}`).sort()).toEqual([
    ...["tcp down", "tcp up again", "udp down", "udp up again"],
  ]);
  for (const line of told) {
    if (line.msg === "down") expect(line["why"]).toMatch(/\((tcp|udp) \S+ > 127\.0\.0\.2:\d+\)/);
    else expect(line["downMs"]).toBeGreaterThan(0);
  }
});

test("a prober that was stopped takes nobody for down", async () => {
  await using lab = await MeshLab.make(members(4));
  await using _servers = await lab.echo(members(4));
  await using prober = await lab.probe(1, ["--interval", "100ms", "--timeout", "1s"]);
  await until("all are up", () => areAll(lab, true));
  prober.kill("SIGSTOP");
  await Bun.sleep(3000); // longer than three intervals and two timeouts
  prober.kill("SIGCONT");
  await until("all are up", () => areAll(lab, true));
  expect(prober.log.filter(({ msg }) => msg === "down")).toEqual([]);
  const said = (wanted: string) =>
    prober.log.filter(({ msg }) => msg === wanted).map(({ to, protocol }) => [to, protocol]);
  await until("whoever was said to be unknown is said to be up", () =>
    Bun.deepEquals(said("up again").sort(), said("unknown").sort()),
  );
});

test.each<NodeJS.Signals>(["SIGTERM", "SIGINT"])("%s ends it, and it exits 0", async (signal) => {
  await using lab = await MeshLab.make([1, 2]);
  await using prober = await lab.probe(1);
  const { exitCode, stderr } = await prober.stop(signal);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(prober.log.at(-1)).toMatchObject({ msg: "stopped" });
});
