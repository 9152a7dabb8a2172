import { StartError } from "../errors.ts";
import { settleDeadLoop } from "../state/settle.ts";
import { COMMAND, CONTROL, type SharedTables } from "../state/shared.ts";
import type { LoopsEvents } from "./loop.ts";

/** Time until a dead loop is replaced; it doubles with each start in a row that fails, up to the longest. */
export const RESTART_PAUSE_MS = 100;
export const RESTART_PAUSE_MS_MAX = 10_000;

/** A loop that has run for so long runs well: whatever failed before it counts no more. */
export const RUNS_WELL_MS = 1000;

/** How long loops may take to stop before their threads are ended all the same. */
const STOP_MS = 5000;

/** How an engine starts its loops. Indices count from 0 to `count` - 1. */
export interface LoopStarter {
  readonly count: number;
  /**
   * Starts loop `index`, which obeys the command that stands in its word of the control table.
   * @throws where it cannot be started; then, and after its death, nothing is left of it
   */
  start(index: number, events: LoopEvents): RunningLoop;
  /** Nobody accepts on this loop's listeners any more: they are to be closed. May be called again. */
  closeListeners(index: number): void;
  /** No loop is left: everything else is to be closed. */
  close(): void;
}

/** A loop that was started, and lives until it has stopped, died, or was ended. */
export interface RunningLoop {
  /** Wakes the loop: its command has changed. */
  wake(): void;
  /** Ends its thread. */
  end(): void;
}

/** Events of a loop. After `onDeath` or `end()` there are no more. */
export interface LoopEvents {
  readonly onRunning: () => void;
  /** The loop drains and accepts no more. */
  readonly onListenersLeft: () => void;
  readonly onStopped: () => void;
  /** A bug showed in one of its sessions, which was reset; the loop goes on. */
  readonly onSessionFault: (why: string) => void;
  readonly onDeath: (why: string) => void;
}

/** Time, as the supervisor needs it. */
export interface SupervisorClock {
  nowMs(): number;
  /** Calls `act` once after `ms`, unless the function it returns is called before. */
  after(ms: number, act: () => void): () => void;
}

const CLOCK: SupervisorClock = {
  nowMs: () => performance.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/** A loop's place: the loop that has it changes, the row in the tables and the sockets stay. */
interface Place {
  readonly index: number;
  loop: RunningLoop | null;
  /** When the loop in it began to run; null while it starts and while there is none. */
  runningSinceMs: number | null;
  /** A loop has run in it: one that dies is replaced. */
  hasRun: boolean;
  /** Starts in a row that failed. */
  failures: number;
  cancelRetry: (() => void) | null;
  /** The first loop in it runs. */
  readonly running: PromiseWithResolvers<void>;
  /** No loop is in it, and none will be. */
  readonly over: PromiseWithResolvers<void>;
}

/**
 * Starts loops, replaces those that die, tells them what to do, and stops them; the same for every engine. A loop
 * that dies gives its sessions back. One that cannot start is tried again after a pause that grows, and harms
 * nobody else meanwhile. While the server drains, none is replaced: a new one would have nothing to do.
 */
export class Supervisor {
  readonly #starter: LoopStarter;
  readonly #tables: SharedTables;
  readonly #control: Int32Array;
  readonly #events: LoopsEvents;
  readonly #clock: SupervisorClock;
  readonly #places: readonly Place[];
  #command: number = COMMAND.run;

  constructor(starter: LoopStarter, tables: SharedTables, events: LoopsEvents, clock = CLOCK) {
    this.#starter = starter;
    this.#tables = tables;
    this.#control = new Int32Array(tables.control);
    this.#events = events;
    this.#clock = clock;
    this.#places = Array.from({ length: starter.count }, (_, index) => ({
      index,
      loop: null,
      runningSinceMs: null,
      hasRun: false,
      failures: 0,
      cancelRetry: null,
      running: Promise.withResolvers<void>(),
      over: Promise.withResolvers<void>(),
    }));
  }

  /**
   * Starts every loop.
   * @throws StartError when one cannot be started; then all are stopped again
   */
  async start(): Promise<void> {
    for (const place of this.#places) this.#startIn(place);
    const results = await Promise.allSettled(this.#places.map(({ running }) => running.promise));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  /** Tells every loop to drain, or to cut what is left. */
  sendCommand(command: "drain" | "cut"): void {
    this.#sendToAll(COMMAND[command]);
  }

  /** Makes the last loop that serves TCP throw, or where none does, the last one. */
  fail(): void {
    const place = this.#places.at(this.#tables.serves.findLastIndex(({ tcp }) => tcp))!;
    Atomics.store(this.#control, CONTROL.command + place.index, COMMAND.fail);
    place.loop?.wake();
  }

  /** Stops every loop. Resolves when nothing of them is open. */
  async stop(): Promise<void> {
    this.#sendToAll(COMMAND.stop);
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.after(STOP_MS, late.resolve);
    await Promise.race([Promise.all(this.#places.map(({ over }) => over.promise)), late.promise]);
    cancel();
    for (const place of this.#places) {
      place.loop?.end();
      place.loop = null;
    }
    this.#starter.close();
  }

  #sendToAll(command: number): void {
    if (command <= this.#command) return;
    this.#command = command;
    for (const place of this.#places) {
      Atomics.store(this.#control, CONTROL.command + place.index, command);
      if (place.loop === null) this.#leave(place);
      else place.loop.wake();
    }
  }

  #startIn(place: Place): void {
    place.cancelRetry = null;
    Atomics.store(this.#control, CONTROL.command + place.index, this.#command);
    let over = false;
    const whileIt = <Args extends unknown[]>(act: (...args: Args) => void) => {
      return (...args: Args): void => {
        if (!over) act(...args);
      };
    };
    const died = whileIt((why: string) => {
      over = true;
      this.#died(place, why);
    });
    try {
      const loop = this.#starter.start(place.index, {
        onRunning: whileIt(() => this.#runs(place)),
        onListenersLeft: whileIt(() => this.#starter.closeListeners(place.index)),
        onStopped: whileIt(() => place.over.resolve()),
        onSessionFault: whileIt((why: string) => this.#events.onSessionFault(place.index, why)),
        onDeath: died,
      });
      if (over) loop.end();
      else place.loop = loop;
    } catch (error) {
      died(error instanceof Error ? error.message : String(error));
    }
  }

  #runs(place: Place): void {
    place.runningSinceMs = this.#clock.nowMs();
    if (place.hasRun) this.#events.onReplacement(place.index);
    place.hasRun = true;
    place.running.resolve();
  }

  #died(place: Place, why: string): void {
    const { index, runningSinceMs } = place;
    const ranMs = runningSinceMs === null ? 0 : this.#clock.nowMs() - runningSinceMs;
    place.loop = null;
    place.runningSinceMs = null;
    settleDeadLoop(this.#tables, index, ranMs / 1000);
    if (!place.hasRun) {
      place.running.reject(new StartError(`event loop ${index} could not start: ${why}`));
      this.#leave(place);
    } else if (this.#command !== COMMAND.run) {
      if (this.#command < COMMAND.stop) this.#events.onLoss(index, why);
      this.#leave(place);
    } else {
      if (ranMs >= RUNS_WELL_MS) place.failures = 0;
      const pauseMs = Math.min(RESTART_PAUSE_MS_MAX, RESTART_PAUSE_MS * 2 ** place.failures);
      if (runningSinceMs === null) this.#events.onStartFailure(index, why, pauseMs);
      else this.#events.onRestart(index, why);
      if (runningSinceMs === null) place.failures++;
      place.cancelRetry = this.#clock.after(pauseMs, () => this.#startIn(place));
    }
  }

  /** No loop will be in this place any more: clients that wait at its listeners must not wait in vain. */
  #leave(place: Place): void {
    place.cancelRetry?.();
    place.cancelRetry = null;
    this.#starter.closeListeners(place.index);
    place.over.resolve();
  }
}
