import { beforeEach, describe, expect, test } from "bun:test";
import type { LoopsEvents } from "../src/engine/loop.ts";
import {
  type LoopEvents,
  type LoopStarter,
  RESTART_PAUSE_MS,
  RESTART_PAUSE_MS_MAX,
  RUNS_WELL_MS,
  type RunningLoop,
  Supervisor,
  type SupervisorClock,
} from "../src/engine/supervisor.ts";
import { StartError } from "../src/errors.ts";
import { C, counterRow, DURATION_BOUNDS_S, TCP_CLOSES, UDP_CLOSES } from "../src/state/counters.ts";
import { COMMAND, makeSharedTables, type SharedTables, WORD } from "../src/state/shared.ts";

/** The supervisor alone, over loops that do what a test wants, with the clock in hand. */

/** A clock that stands until a test moves it. */
class HandClock implements SupervisorClock {
  #nowMs = 0;
  readonly #due: { atMs: number; act: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, act };
    this.#due.push(timer);
    return () => {
      const at = this.#due.indexOf(timer);
      if (at >= 0) this.#due.splice(at, 1);
    };
  }

  get timers(): number {
    return this.#due.length;
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#due.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.#nowMs = next.atMs;
      next.act();
    }
    this.#nowMs = endMs;
  }
}

/** A loop that a test lets run, die and obey. */
class FakeLoop implements RunningLoop {
  readonly wokenTo: number[] = [];
  ended = false;

  constructor(
    readonly index: number,
    readonly events: LoopEvents,
    readonly command: () => number,
  ) {}

  wake(): void {
    this.wokenTo.push(this.command());
    if (this.command() === COMMAND.stop) this.events.onStopped();
  }

  end(): void {
    this.ended = true;
  }
}

class FakeStarter implements LoopStarter {
  readonly count: number;
  readonly started: FakeLoop[] = [];
  /** Commands as they stood when each loop was started. */
  readonly startedUnder: number[] = [];
  readonly listenersClosed: number[] = [];
  closed = 0;
  /** What the next starts do: throw this, or start a loop that runs at once (null). */
  script: (string | null)[] = [];
  /** Loops run as soon as they are started. */
  prompt = true;

  constructor(readonly tables: SharedTables) {
    this.count = tables.loops;
  }

  start(index: number, events: LoopEvents): RunningLoop {
    const command = (): number => Atomics.load(new Int32Array(this.tables.control), WORD.command + index);
    this.startedUnder.push(command());
    const why = this.script.shift() ?? null;
    if (why !== null) throw new Error(why);
    const loop = new FakeLoop(index, events, command);
    this.started.push(loop);
    if (this.prompt) events.onRunning();
    return loop;
  }

  closeListeners(index: number): void {
    this.listenersClosed.push(index);
  }

  close(): void {
    this.closed++;
  }

  latest(index: number): FakeLoop {
    return this.started.findLast((loop) => loop.index === index)!;
  }
}

let clock: HandClock;
let tables: SharedTables;
let starter: FakeStarter;
let supervisor: Supervisor;
let told: string[];

function make(loops: number): void {
  clock = new HandClock();
  tables = makeSharedTables(loops, 0);
  starter = new FakeStarter(tables);
  told = [];
  const events: LoopsEvents = {
    onSession: null,
    onRestart: (loop, why) => void told.push(`restart ${loop}: ${why}`),
    onStartFailure: (loop, why, retryMs) => void told.push(`failure ${loop}: ${why}, ${retryMs}`),
    onReplacement: (loop) => void told.push(`replacement ${loop}`),
    onLoss: (loop, why) => void told.push(`loss ${loop}: ${why}`),
    onSessionFault: (loop, why) => void told.push(`fault ${loop}: ${why}`),
  };
  supervisor = new Supervisor(starter, tables, events, clock);
}

beforeEach(() => make(2));

describe("the first start", () => {
  test("is over when every loop runs", async () => {
    starter.prompt = false;
    let over = false;
    const starting = supervisor.start().then(() => {
      over = true;
    });
    starter.latest(0).events.onRunning();
    await Bun.sleep(0);
    expect(over).toBe(false);
    starter.latest(1).events.onRunning();
    await starting;
    expect(starter.startedUnder).toEqual([COMMAND.run, COMMAND.run]);
    expect(told).toEqual([]);
  });

  test("fails in one line when a loop cannot be started, and leaves nothing", async () => {
    starter.script = [null, "no thread"];
    const error = await supervisor.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toBe("StartError: event loop 1 could not start: no thread");
    expect(starter.latest(0).wokenTo).toEqual([COMMAND.stop]);
    expect(starter.latest(0).ended).toBe(true);
    expect(starter.closed).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test("fails also when one dies before it runs", async () => {
    starter.prompt = false;
    const starting = supervisor.start().catch((thrown: unknown) => String(thrown));
    starter.latest(0).events.onRunning();
    starter.latest(1).events.onDeath("no memory");
    expect(await starting).toBe("StartError: event loop 1 could not start: no memory");
    expect(starter.closed).toBe(1);
  });
});

describe("a loop that dies", () => {
  test("is replaced after a pause, alone", async () => {
    await supervisor.start();
    starter.latest(1).events.onDeath("a bug");
    expect(told).toEqual(["restart 1: a bug"]);
    expect(starter.started.length).toBe(2);
    clock.advance(RESTART_PAUSE_MS);
    expect(told).toEqual(["restart 1: a bug", "replacement 1"]);
    expect(starter.started.map(({ index }) => index)).toEqual([0, 1, 1]);
    expect(starter.latest(0).wokenTo).toEqual([]);
  });

  test("is heard once, and then no more", async () => {
    await supervisor.start();
    const dead = starter.latest(1);
    dead.events.onDeath("a bug");
    dead.events.onDeath("a bug again");
    dead.events.onListenersLeft();
    clock.advance(60_000);
    expect(told).toEqual(["restart 1: a bug", "replacement 1"]);
    expect(starter.listenersClosed).toEqual([]);
    expect(starter.started.length).toBe(3);
  });

  test("gives its sessions back: opened less closed is active, and each has a length", async () => {
    await supervisor.start();
    const row = counterRow(tables.counters, 1);
    const control = new Int32Array(tables.control);
    row[C.tcpOpened] = 10;
    row[C.tcpClosed] = 4;
    row[C.udpOpened] = 7;
    Atomics.store(control, WORD.tcpActive, 6 + 2); // two are the other loop's
    Atomics.store(control, WORD.udpActive, 7);
    clock.advance(5000);
    starter.latest(1).events.onDeath("a bug");
    expect(row[C.tcpClosed]).toBe(10);
    expect(row[C.tcpClosedBy + TCP_CLOSES.indexOf("worker_died")]).toBe(6);
    expect(row[C.udpClosedBy + UDP_CLOSES.indexOf("worker_died")]).toBe(7);
    expect(Atomics.load(control, WORD.tcpActive)).toBe(2);
    expect(Atomics.load(control, WORD.udpActive)).toBe(0);
    const lengths = (first: number): number =>
      row.subarray(first, first + DURATION_BOUNDS_S.length + 1).reduce((sum, count) => sum + count, 0);
    expect(lengths(C.tcpDuration)).toBe(6);
    expect(lengths(C.udpDuration)).toBe(7);
    expect(row[C.tcpDuration + DURATION_BOUNDS_S.length + 1]).toBe(6 * 5); // none is older than its loop
  });

  test("and cannot be replaced is tried again with a pause that grows up to a bound, for ever", async () => {
    await supervisor.start();
    starter.script = Array.from({ length: 12 }, () => "no thread");
    starter.latest(0).events.onDeath("a bug");
    clock.advance(60_000);
    const pauses = told.slice(1, 13).map((line) => Number(line.split(", ")[1]));
    expect(told[1]).toBe(`failure 0: no thread, ${RESTART_PAUSE_MS}`);
    expect(pauses.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(pauses.at(-1)).toBe(RESTART_PAUSE_MS_MAX);
    clock.advance(60_000);
    expect(starter.latest(0).index).toBe(0);
    expect(starter.started.length).toBe(3); // there it is again
    expect(starter.latest(1).wokenTo).toEqual([]); // and nobody else has noticed
  });

  test("before it runs counts as a start that failed, and the pause is short again once one has run well", async () => {
    await supervisor.start();
    starter.latest(0).events.onDeath("a bug");
    starter.prompt = false;
    for (const pauseMs of [100, 100, 200]) {
      clock.advance(pauseMs);
      starter.latest(0).events.onDeath("no descriptor");
    }
    clock.advance(400);
    starter.latest(0).events.onRunning();
    clock.advance(RUNS_WELL_MS - 1);
    starter.latest(0).events.onDeath("a bug"); // not well: 800 ms
    const count = starter.started.length;
    clock.advance(799);
    expect(starter.started.length).toBe(count);
    clock.advance(1);
    expect(starter.started.length).toBe(count + 1);
    starter.latest(0).events.onRunning();
    clock.advance(RUNS_WELL_MS);
    starter.latest(0).events.onDeath("a bug");
    clock.advance(RESTART_PAUSE_MS);
    expect(starter.started.length).toBe(count + 2);
    expect(told.filter((line) => line.startsWith("failure")).length).toBe(3);
    expect(told.filter((line) => line.startsWith("restart")).length).toBe(3);
  });
});

describe("a drain", () => {
  test("is told to every loop, also to one that still starts", async () => {
    await supervisor.start();
    starter.prompt = false;
    starter.latest(1).events.onDeath("a bug");
    clock.advance(RESTART_PAUSE_MS);
    supervisor.tell("drain");
    expect(starter.latest(0).wokenTo).toEqual([COMMAND.drain]);
    expect(starter.latest(1).wokenTo).toEqual([COMMAND.drain]);
    supervisor.tell("cut");
    supervisor.tell("drain"); // there is no way back
    expect(starter.latest(0).wokenTo).toEqual([COMMAND.drain, COMMAND.cut]);
  });

  test("closes listeners that nobody accepts on any more", async () => {
    await supervisor.start();
    supervisor.tell("drain");
    expect(starter.listenersClosed).toEqual([]);
    starter.latest(0).events.onListenersLeft();
    expect(starter.listenersClosed).toEqual([0]);
  });

  test("replaces no loop that dies in it", async () => {
    await supervisor.start();
    supervisor.tell("drain");
    starter.latest(1).events.onDeath("a bug");
    clock.advance(60_000);
    expect(starter.started.length).toBe(2);
    expect(starter.listenersClosed).toEqual([1]);
    expect(told).toEqual(["loss 1: a bug"]);
    expect(clock.timers).toBe(0);
  });

  test("and none that has died before it", async () => {
    await supervisor.start();
    starter.latest(1).events.onDeath("a bug");
    supervisor.tell("drain");
    clock.advance(60_000);
    expect(starter.started.length).toBe(2);
    expect(starter.listenersClosed).toEqual([1]);
  });
});

describe("a stop", () => {
  test("is over when every loop has stopped, and then nothing is left", async () => {
    await supervisor.start();
    await supervisor.stop();
    expect(starter.started.map(({ ended }) => ended)).toEqual([true, true]);
    expect(starter.closed).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test("waits neither for the dead nor for ever", async () => {
    await supervisor.start();
    starter.latest(0).events.onDeath("a bug");
    starter.latest(1).wake = () => {}; // it hangs
    const stopping = supervisor.stop();
    await Bun.sleep(0);
    expect(starter.closed).toBe(0);
    clock.advance(60_000);
    await stopping;
    expect(starter.latest(1).ended).toBe(true);
    expect(starter.started.length).toBe(2);
    expect(starter.closed).toBe(1);
  });
});

test("an injected fault is told to the last loop, and its replacement does not hear of it", async () => {
  await supervisor.start();
  supervisor.fail();
  expect(starter.latest(1).wokenTo).toEqual([COMMAND.fail]);
  starter.latest(1).events.onDeath("fault injected");
  clock.advance(RESTART_PAUSE_MS);
  expect(starter.startedUnder.at(-1)).toBe(COMMAND.run);
});
