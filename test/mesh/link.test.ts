import { expect, test } from "bun:test";
import type { MeshPair } from "../../src/diagnose/mesh/result.ts";
import { until } from "../harness.ts";
import { MeshNodes } from "./nodes.ts";

/** A node that is cut off, as others see it. */

/** As the defaults are to each other, and long beside what a busy machine takes to answer. */
const INTERVAL_MS = 2000;
const PACE = ["--interval", `${INTERVAL_MS}ms`, "--timeout", `${INTERVAL_MS / 2}ms`];

test("a node's link down is one column down and one row unknown within three intervals, and heals", async () => {
  await using nodes = await MeshNodes.make(3);
  await using _servers = await all([1, 2, 3], (number) => nodes.echo(number));
  await using _probers = await all([1, 2, 3], (number) => nodes.probe(number, PACE));
  const ups = async (wanted: (pair: MeshPair) => boolean | null): Promise<boolean> => {
    const { pairs } = await nodes.mesh(1, "?scope=all");
    return pairs.length === 12 && pairs.every((pair) => pair.up === wanted(pair));
  };
  await until("all are up", () => ups(() => true));
  await nodes.link(3, "down");
  const cutMs = performance.now();
  await until("its column is down, its row is unknown, the rest is up", () =>
    ups(({ from, to }) => (from === "pod-3" ? null : to !== "pod-3")),
  );
  const intervals = (performance.now() - cutMs) / INTERVAL_MS;
  expect(intervals).toBeGreaterThan(1); // two probes: no single loss is enough
  expect(intervals).toBeLessThan(3);
  await nodes.link(3, "up");
  await until("all are up again", () => ups(() => true));
});

async function all<T extends AsyncDisposable>(
  numbers: readonly number[],
  start: (number: number) => Promise<T>,
): Promise<AsyncDisposable> {
  const started = await Promise.all(numbers.map(start));
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((each) => each[Symbol.asyncDispose]()));
    },
  };
}
