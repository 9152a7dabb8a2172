import { describe, expect, test } from "bun:test";
import { Agenda } from "../../src/diagnose/agenda.ts";
import { until } from "../harness.ts";

/** Holds the thread up, as a busy machine does. */
function block(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

describe("what is due when", () => {
  test("is counted from the start: one that is late moves none after it", async () => {
    const agenda = new Agenda();
    const startMs = performance.now() + 20;
    const phases: number[] = [];
    agenda.every(startMs, 100, (nowMs) => {
      phases.push((nowMs - startMs) % 100);
      // The second is 60 ms late, and if that moved the others, they were as well.
      if (phases.length === 1) block(startMs + 160 - performance.now());
    });
    const running = agenda.run();
    await until("it was done 10 times", () => phases.length >= 10);
    agenda.end();
    await running;
    expect(Math.min(...phases.slice(2))).toBeLessThan(50);
  });

  test("is not made up for in a burst, and the time in which nothing ran is known", async () => {
    const agenda = new Agenda();
    const startMs = performance.now();
    const turns: number[] = [];
    const turnAt = (nowMs: number): number => Math.floor((nowMs - startMs) / 10);
    agenda.every(startMs, 10, (nowMs) => turns.push(turnAt(nowMs)));
    const blocked: number[] = [];
    agenda.at(startMs + 50, () => {
      blocked.push(turnAt(performance.now()));
      block(300);
      blocked.push(turnAt(performance.now()));
    });
    const running = agenda.run();
    await until("it went on", () => turns.some((turn) => turn > blocked[1]! + 5));
    agenda.end();
    await running;
    expect(turns).toEqual([...new Set(turns)]); // each turn once at most
    const [first, last] = blocked as [number, number];
    expect(turns.filter((turn) => turn > first && turn < last)).toEqual([]);
    expect(agenda.stalls.longestMs).toBeGreaterThan(200);
  });

  test("is judged before it is done, when what had come was read", async () => {
    const agenda = new Agenda();
    const order: string[] = [];
    let read = false;
    setImmediate(() => setImmediate(() => (read = true)));
    agenda.onAwake = () => order.push(`judged ${read}`);
    agenda.at(performance.now(), () => order.push("done"));
    const running = agenda.run();
    await until("it is done", () => order.includes("done"));
    agenda.end();
    await running;
    expect(order.slice(0, 2)).toEqual(["judged true", "done"]);
  });

  test("may be taken off, and whoever is first goes first however they were put there", async () => {
    const agenda = new Agenda();
    const done: number[] = [];
    const nowMs = performance.now();
    agenda.at(nowMs + 60, () => done.push(3));
    const cancel = agenda.at(nowMs + 40, () => done.push(2));
    const running = agenda.run();
    agenda.at(nowMs + 20, () => done.push(1)); // sooner than what it waits for
    cancel();
    await until("all is done", () => done.length === 2);
    agenda.end();
    await running;
    expect(done).toEqual([1, 3]);
  });
});
