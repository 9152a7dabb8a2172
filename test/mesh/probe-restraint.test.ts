import { expect, test } from "bun:test";
import { Restraint } from "../../src/diagnose/mesh/restraint.ts";
import { until } from "../harness.ts";
import { MeshNodes } from "./nodes.ts";

/** Connects that cannot be taken back: they pile up nowhere. */

/** How many of so many connects go, one each half second, none of them answered. */
function gone(restraint: Restraint, seconds: number): number {
  let count = 0;
  for (let ms = 0; ms < seconds * 1000; ms += 500) {
    if (!restraint.mayGo(ms)) continue;
    count++;
    restraint.ended(true);
  }
  return count;
}

test("four go at any pace, then one each ten seconds; one that is answered ends that", () => {
  const restraint = new Restraint(false);
  expect(gone(restraint, 127)).toBeLessThanOrEqual(17);
  expect(restraint.mayGo(127_000)).toBe(false);
  restraint.ended(false); // one that was under way
  expect(restraint.mayGo(127_001)).toBe(true);
  expect(gone(new Restraint(true), 127)).toBe(254);
});

test("by Bun's sockets a peer that drops everything takes few descriptors, is down, and comes back", async () => {
  await using nodes = await MeshNodes.make(2);
  await using _server = await nodes.echo(2);
  await using prober = await nodes.probe(1, ["--engine", "bun", "--interval", "100ms", "--timeout", "200ms"]);
  const areAll = async (wanted: boolean): Promise<boolean> =>
    (await nodes.mesh(1)).pairs.every(({ up }) => up === wanted);
  const descriptors = async (): Promise<number> => (await nodes.metrics(1)).get("process_open_fds", {});
  await until("it is up", () => areAll(true));
  const before = await descriptors();
  // The link layer still finds it, and whatever comes is dropped.
  const shown = await nodes.host(2).run("ip", "-oneline", "link", "show", "eth0");
  const [, mac] = /link\/ether (\S+)/.exec(shown)!;
  await nodes
    .host(1)
    .run(
      ...["ip", "neighbour", "replace", "10.9.0.2", "lladdr", mac!, "dev", "eth0"],
      ...["nud", "permanent"],
    );
  await nodes.link(2, "down");
  await until("it is down", () => areAll(false));
  const inARow = async (): Promise<number> => {
    const why = (await nodes.mesh(1)).pairs.find(({ protocol }) => protocol === "tcp")?.why ?? "";
    return Number(/(\d+) probes in a row/.exec(why)?.[1] ?? 0);
  };
  await until("it was asked often", async () => (await inARow()) > 30);
  expect((await descriptors()) - before).toBeLessThan(15);
  await nodes.link(2, "up");
  await until("it is up again", () => areAll(true));
  expect(prober.log.filter(({ msg }) => msg === "down").length).toBe(2);
});
