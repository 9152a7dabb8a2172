import type { Pointer } from "bun:ffi";
import type { LoopSettings } from "../rules/settings.ts";
import { COMMAND, type SharedTables, WORD } from "../rules/shared.ts";
import { EFD_NONBLOCK_CLOEXEC, loadLibc, nativeMemory } from "../sys/libc.ts";
import { giveBackSessions } from "./dead-loop.ts";
import { sessionDescriptorsMax, workerCanStart } from "./descriptors.ts";
import type { BoundAddresses } from "./loop.ts";
import { type BoundSocket, bindUdp, describe, listenTcp } from "./sockets.ts";
import type { Loops, StartOptions } from "./start.ts";
import { LoopThread, RESTART_DELAY_MS } from "./thread.ts";

/** Tables by descriptor are never longer than this, whatever the limit of open files is. */
const DESCRIPTORS_MAX = 1_048_576;

/** Sockets of one loop, opened and owned here, so that they outlive the loop's Worker. */
interface LoopSockets {
  /** Empty once the server drains: an open listener that nobody accepts on would let clients wait in vain. */
  tcp: readonly BoundSocket[];
  readonly udp: readonly BoundSocket[];
  readonly wake: number;
}

/** Starts a Linux loop in each of `options.workers` Workers. Throws StartError when an address cannot be bound. */
export async function startLinuxLoops(
  settings: LoopSettings,
  tables: SharedTables,
  options: StartOptions,
  engineReason: string,
): Promise<Loops> {
  const sockets = openSockets(settings, options.workers);
  const loops = new LinuxLoops(settings, tables, options, sockets);
  await loops.start();
  return {
    engine: "linux",
    engineReason,
    bound: loops.bound,
    drain: () => loops.command(COMMAND.drain),
    cut: () => loops.command(COMMAND.cut),
    fail: () => loops.fail(),
    stop: () => loops.stop(),
  };
}

class LinuxLoops {
  readonly bound: BoundAddresses;
  readonly #settings: LoopSettings;
  readonly #tables: SharedTables;
  readonly #options: StartOptions;
  readonly #sockets: readonly LoopSockets[];
  readonly #control: Int32Array;
  readonly #one = nativeMemory(8);
  readonly #threads: LoopThread[] = [];
  readonly #stopped: PromiseWithResolvers<void>[] = [];
  /** All loops have started: one that dies from here on is replaced. */
  #serving = false;

  constructor(
    settings: LoopSettings,
    tables: SharedTables,
    options: StartOptions,
    sockets: readonly LoopSockets[],
  ) {
    this.#settings = settings;
    this.#tables = tables;
    this.#options = options;
    this.#sockets = sockets;
    this.#control = new Int32Array(tables.control);
    this.#one.words[0] = 1;
    const [first] = sockets;
    this.bound = { tcp: first!.tcp.map(describe), udp: first!.udp.map(describe) };
  }

  async start(): Promise<void> {
    await Promise.all(this.#sockets.map((_, index) => this.#startLoop(index)));
    this.#serving = true;
  }

  /** Tells every loop; each wakes up from its wait to hear it. */
  command(command: number): void {
    for (const index of this.#sockets.keys()) this.#tell(index, command);
  }

  fail(): void {
    this.#tell(this.#sockets.length - 1, COMMAND.fail);
  }

  async stop(): Promise<void> {
    this.command(COMMAND.stop);
    await Promise.all(this.#stopped.map(({ promise }) => promise));
    for (const thread of this.#threads) thread.end();
    closeAll(this.#sockets);
  }

  #tell(index: number, command: number): void {
    Atomics.store(this.#control, WORD.command + index, command);
    loadLibc().write(this.#sockets[index]!.wake, this.#one.address as Pointer, 8);
  }

  #closeListeners(index: number): void {
    const sockets = this.#sockets[index]!;
    for (const { fd } of sockets.tcp) loadLibc().close(fd);
    sockets.tcp = [];
  }

  #startLoop(index: number): Promise<void> {
    const running = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    this.#stopped[index] = stopped;
    const start = {
      settings: this.#settings,
      tables: this.#tables,
      index,
      shared: this.#sockets.length > 1,
      ...this.#sockets[index]!,
      descriptorsMax: Math.min(DESCRIPTORS_MAX, sessionDescriptorsMax(this.#settings)),
    };
    this.#threads[index] = new LoopThread(
      { do: "start-linux", start },
      {
        onMessage: (message) => {
          if (message.did === "start") running.resolve();
          else if (message.did === "leave-listeners") this.#closeListeners(index);
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
    if (this.#stopping(index)) return;
    this.#options.onWorkerRestart(index, why);
    const start = (): void => {
      if (this.#stopping(index)) return;
      if (workerCanStart()) this.#startLoop(index).catch(() => {});
      else setTimeout(start, RESTART_DELAY_MS);
    };
    setTimeout(start, RESTART_DELAY_MS);
  }

  #stopping(index: number): boolean {
    return Atomics.load(this.#control, WORD.command + index) === COMMAND.stop;
  }
}

/** Opens the sockets of all loops: the first chooses the port where any free one will do. */
function openSockets(settings: LoopSettings, workers: number): LoopSockets[] {
  const shared = workers > 1;
  const opened: LoopSockets[] = [];
  let { tcpPort, udpPort } = settings;
  // SO_REUSEPORT would let a second server join the first one's port unseen: ask for it alone, once, before.
  if (shared) closeAll([openOne(settings, tcpPort, udpPort, false)]);
  try {
    for (let index = 0; index < workers; index++) {
      const sockets = openOne(settings, tcpPort, udpPort, shared);
      opened.push(sockets);
      tcpPort = sockets.tcp[0]?.port ?? null;
      udpPort = sockets.udp[0]?.port ?? null;
    }
  } catch (error) {
    closeAll(opened);
    throw error;
  }
  return opened;
}

function openOne(
  settings: LoopSettings,
  tcpPort: number | null,
  udpPort: number | null,
  shared: boolean,
): LoopSockets {
  const tcp = tcpPort === null ? [] : listenTcp(settings.hosts, tcpPort, shared);
  try {
    const udp = udpPort === null ? [] : bindUdp(settings.hosts, udpPort, shared);
    return { tcp, udp, wake: loadLibc().eventfd(0, EFD_NONBLOCK_CLOEXEC) };
  } catch (error) {
    for (const { fd } of tcp) loadLibc().close(fd);
    throw error;
  }
}

function closeAll(opened: readonly LoopSockets[]): void {
  for (const { tcp, udp, wake } of opened) {
    for (const { fd } of [...tcp, ...udp]) loadLibc().close(fd);
    loadLibc().close(wake);
  }
}
