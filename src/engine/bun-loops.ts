import { StartError } from "../errors.ts";
import type { LoopSettings } from "../rules/settings.ts";
import { COMMAND, makeSharedTables, type SharedTables, WORD } from "../rules/shared.ts";
import { startBunLoop } from "./bun/loop.ts";
import { giveBackSessions } from "./dead-loop.ts";
import type { BoundAddresses } from "./loop.ts";
import type { Loops, StartOptions } from "./start.ts";
import { LoopThread, RESTART_DELAY_MS } from "./thread.ts";

/** Starts portable loops: one in this thread, or each in a Worker where there are several. */
export async function startBunLoops(
  settings: LoopSettings,
  tables: SharedTables,
  options: StartOptions,
  engineReason: string,
): Promise<Loops> {
  const engine = "bun";
  if (options.workers > 1) {
    const loops = new BunThreads(settings, tables, options);
    await loops.start();
    return {
      engine,
      engineReason,
      bound: loops.bound,
      drain: () => loops.tell("drain"),
      cut: () => loops.tell("cut"),
      fail: () => loops.fail(),
      stop: () => loops.stop(),
    };
  }
  const loop = await startBunLoop({ settings, tables, index: 0, shared: false }, options.onSessionEnd);
  return {
    engine,
    engineReason,
    bound: loop.bound,
    drain: () => loop.drain(),
    cut: () => loop.cut(),
    stop: () => loop.stop(),
    fail: () => {
      throw new Error("fault injected"); // with one loop in the main thread, this ends the process
    },
  };
}

class BunThreads {
  bound: BoundAddresses = { tcp: [], udp: [] };
  #settings: LoopSettings;
  readonly #tables: SharedTables;
  readonly #options: StartOptions;
  readonly #control: Int32Array;
  readonly #threads: LoopThread[] = [];
  readonly #stopped: PromiseWithResolvers<void>[] = [];
  /** All loops have started: one that dies from here on is replaced. */
  #serving = false;

  constructor(settings: LoopSettings, tables: SharedTables, options: StartOptions) {
    this.#settings = settings;
    this.#tables = tables;
    this.#options = options;
    this.#control = new Int32Array(tables.control);
  }

  /** The first loop chooses the port where any free one will do; the others join it. */
  async start(): Promise<void> {
    // SO_REUSEPORT would let a second server join the first one's port unseen: ask for it alone, once, before.
    const alone = { settings: this.#settings, tables: makeSharedTables(1, 0), index: 0, shared: false };
    await (await startBunLoop(alone, null)).stop();
    this.bound = await this.#startLoop(0);
    const portOf = (endpoint: string | undefined): number | null =>
      endpoint === undefined ? null : Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
    this.#settings = {
      ...this.#settings,
      tcpPort: portOf(this.bound.tcp[0]),
      udpPort: portOf(this.bound.udp[0]),
    };
    const others = Array.from({ length: this.#options.workers - 1 }, (_, at) => this.#startLoop(at + 1));
    await Promise.all(others);
    this.#serving = true;
  }

  tell(command: "drain" | "cut" | "stop"): void {
    for (const [index, thread] of this.#threads.entries()) {
      Atomics.store(this.#control, WORD.command + index, COMMAND[command]);
      thread.tell({ do: command });
    }
  }

  fail(): void {
    this.#threads.at(-1)!.tell({ do: "fail" });
  }

  async stop(): Promise<void> {
    this.tell("stop");
    await Promise.all(this.#stopped.map(({ promise }) => promise));
    for (const thread of this.#threads) thread.end();
  }

  #startLoop(index: number): Promise<BoundAddresses> {
    const running = Promise.withResolvers<BoundAddresses>();
    const stopped = Promise.withResolvers<void>();
    this.#stopped[index] = stopped;
    const start = { settings: this.#settings, tables: this.#tables, index, shared: true };
    this.#threads[index] = new LoopThread(
      { do: "start-bun", start },
      {
        onMessage: (message) => {
          if (message.did === "start") running.resolve(message.bound!);
          else if (message.did === "not-start") running.reject(new StartError(message.why));
          else if (message.did === "stop") stopped.resolve();
          else if (message.did === "end-session") this.#options.onSessionEnd?.(message.end);
        },
        onDeath: (why) => {
          running.reject(new Error(`a loop could not start: ${why}`));
          stopped.resolve();
          giveBackSessions(this.#tables, index);
          if (this.#serving) this.#replace(index, why);
        },
      },
    );
    return running.promise;
  }

  /** Its own death would be another call of this: a loop that cannot live is tried again, but not without pause. */
  #replace(index: number, why: string): void {
    const stopping = (): boolean => Atomics.load(this.#control, WORD.command + index) === COMMAND.stop;
    if (stopping()) return;
    this.#options.onWorkerRestart(index, why);
    setTimeout(() => {
      if (!stopping()) this.#startLoop(index).catch(() => {});
    }, RESTART_DELAY_MS);
  }
}
