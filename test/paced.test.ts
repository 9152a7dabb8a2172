import { expect, test } from "bun:test";
import { paced } from "../src/admin/paced.ts";

/** A clock that stands until it is told to go on. */
class StandingClock {
  ms = 0;
  #sleepers: { untilMs: number; wake: () => void }[] = [];

  nowMs(): number {
    return this.ms;
  }

  sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.push({ untilMs: this.ms + ms, wake: resolve });
    return promise;
  }

  /** Goes on, and lets everything run that waited for it. */
  async advance(ms: number): Promise<void> {
    this.ms += ms;
    const awake = this.#sleepers.filter(({ untilMs }) => untilMs <= this.ms);
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.ms);
    for (const { wake } of awake) wake();
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
}

function pacedRuns(lastingMs = 0) {
  const clock = new StandingClock();
  const starts: number[] = [];
  const ask = paced(
    async () => {
      const start = clock.ms;
      starts.push(start);
      if (lastingMs > 0) await clock.sleep(lastingMs);
      return start;
    },
    100,
    clock,
  );
  return { clock, starts, ask };
}

test("the first who asks does not wait; who asks soon after waits for the next run, and all of them share it", async () => {
  const { clock, starts, ask } = pacedRuns();
  expect(await ask()).toBe(0);
  await clock.advance(30);
  const second = ask();
  await clock.advance(30);
  const third = ask();
  await clock.advance(39);
  expect(starts).toEqual([0]);
  await clock.advance(1);
  expect([await second, await third]).toEqual([100, 100]);
  await clock.advance(500);
  expect(await ask()).toBe(600);
  expect(starts).toEqual([0, 100, 600]);
});

test("nobody gets what had begun before the question", async () => {
  const { clock, starts, ask } = pacedRuns(250);
  const first = ask();
  await settled();
  await clock.advance(200);
  const second = ask(); // the first run is still under way, and it may have read its numbers already
  const third = ask();
  await clock.advance(50);
  expect(await first).toBe(0);
  expect(starts).toEqual([0, 250]); // one after the other, never two at a time
  await clock.advance(250);
  expect([await second, await third]).toEqual([250, 250]);
});

test("a run that fails fails those who wait for it, and no one after", async () => {
  const clock = new StandingClock();
  let runs = 0;
  const ask = paced(
    async () => {
      runs++;
      if (runs === 1) throw new Error("once");
      return runs;
    },
    100,
    clock,
  );
  expect(await ask().catch(String)).toBe("Error: once");
  const next = ask();
  await clock.advance(100);
  expect(await next).toBe(2);
});
