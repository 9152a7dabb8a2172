import type { Pointer } from "bun:ffi";
import { StartError } from "../errors.ts";
import type { SharedTables } from "../state/shared.ts";
import { EFD_NONBLOCK_CLOEXEC, errnoText, loadLibc } from "../sys/libc.ts";
import { nativeMemory } from "../sys/memory.ts";
import { sessionDescriptorsMax } from "./descriptors.ts";
import type { BoundEndpoints, LoopSettings, LoopSockets } from "./loop.ts";
import { closeSockets, endpointsOfLoops, openSockets } from "./loop-sockets.ts";
import type { SessionEvent } from "./session-log.ts";
import type { LoopEvents, LoopStarter, RunningLoop } from "./supervisor.ts";
import { LoopThread } from "./thread.ts";

/** Tables by descriptor are never longer than this, whatever the limit of open files is. */
const DESCRIPTORS_MAX = 1_048_576;

/** Mappings of a loop at most, and what each of its UDP sockets adds. */
const MAPPINGS = 64;
const MAPPINGS_PER_UDP_SOCKET = 16;

/** Starts Linux loops, each in a Worker, on sockets that stay open when one dies. An eventfd each wakes them. */
export class LinuxStarter implements LoopStarter {
  readonly count: number;
  readonly bound: BoundEndpoints;
  readonly #settings: LoopSettings;
  readonly #tables: SharedTables;
  readonly #onSession: ((event: SessionEvent) => void) | null;
  readonly #sockets: LoopSockets[];
  readonly #wakes: number[] = [];
  readonly #one = nativeMemory(8);
  readonly #descriptorsMax: number;

  /** @throws StartError when an address cannot be bound; then nothing is open */
  constructor(
    settings: LoopSettings,
    tables: SharedTables,
    onSession: ((event: SessionEvent) => void) | null,
  ) {
    this.#settings = settings;
    this.#tables = tables;
    this.#onSession = onSession;
    this.#one.words[0] = 1;
    this.#descriptorsMax = Math.min(DESCRIPTORS_MAX, sessionDescriptorsMax(settings));
    this.count = tables.loops;
    this.#sockets = openSockets(settings, tables.serves, false);
    this.bound = endpointsOfLoops(this.#sockets);
    for (let loop = 0; loop < this.count; loop++) {
      const wake = loadLibc().eventfd(0, EFD_NONBLOCK_CLOEXEC);
      if (wake < 0) {
        const why = errnoText(loadLibc().errno());
        this.close();
        throw new StartError(`event loop ${loop} could not start: eventfd failed: ${why}`);
      }
      this.#wakes.push(wake);
    }
  }

  start(index: number, events: LoopEvents): RunningLoop {
    const sockets = this.#sockets[index]!;
    const wake = this.#wakes[index]!;
    const start = {
      settings: this.#settings,
      tables: this.#tables,
      index,
      ...sockets,
      wake,
      descriptorsMax: this.#descriptorsMax,
    };
    const thread = new LoopThread({
      order: { do: "start-linux", start },
      mappings: MAPPINGS + sockets.udp.length * MAPPINGS_PER_UDP_SOCKET,
      events,
      onMessage: () => events.onRunning(), // all else that it says is the thread's own business
      onSession: this.#onSession,
    });
    return {
      wake: () => void loadLibc().write(wake, this.#one.address as Pointer, 8),
      end: () => thread.end(),
    };
  }

  closeListeners(index: number): void {
    const sockets = this.#sockets[index]!;
    closeSockets({ tcp: sockets.tcp, udp: [] });
    this.#sockets[index] = { tcp: [], udp: sockets.udp };
  }

  close(): void {
    for (const sockets of this.#sockets) closeSockets(sockets);
    for (const wake of this.#wakes) loadLibc().close(wake);
  }
}
