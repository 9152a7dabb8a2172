import type { SharedTables } from "../state/shared.ts";
import { hasLibc } from "../sys/libc.ts";
import { isWildcard } from "./bun/local-addresses.ts";
import type { BoundEndpoints, LoopSettings, LoopSockets } from "./loop.ts";
import { closeSockets, endpointsOfLoops, openSockets } from "./loop-sockets.ts";
import type { SessionEvent } from "./session-log.ts";
import type { LoopEvents, LoopStarter, RunningLoop } from "./supervisor.ts";
import { LoopThread } from "./thread.ts";

/** Mappings of a portable loop: a scout, and what socket options are read from and written to. */
const MAPPINGS = 8;

/**
 * Starts portable loops, each in a Worker, so that a flood keeps none but its own loop busy. Where libc can be called
 * the sockets are opened here, handed to the loop, and stay open when it dies.
 */
export class BunStarter implements LoopStarter {
  readonly count: number;
  readonly #settings: LoopSettings;
  readonly #tables: SharedTables;
  readonly #onSession: ((event: SessionEvent) => void) | null;
  /** Empty where there is no libc: then each loop opens its own. */
  readonly #sockets: LoopSockets[];
  #bound: BoundEndpoints;

  /** @throws StartError when an address cannot be bound; then nothing is open */
  constructor(
    settings: LoopSettings,
    tables: SharedTables,
    onSession: ((event: SessionEvent) => void) | null,
  ) {
    this.#tables = tables;
    this.#onSession = onSession;
    this.count = tables.loops;
    const joined = settings.hosts.some(isWildcard); // by a socket for each address
    this.#sockets = hasLibc() ? openSockets(settings, tables.serves, joined) : [];
    this.#bound = endpointsOfLoops(this.#sockets);
    this.#settings = settings;
  }

  get bound(): BoundEndpoints {
    return this.#bound;
  }

  start(index: number, events: LoopEvents): RunningLoop {
    const { tcp, udp } = this.#tables.serves[index]!;
    const sockets = this.#sockets[index] ?? null;
    // One that takes a dead one's place has to find its port again.
    const { tcpPort, udpPort } = { ...this.#settings, ...portsOf(this.#bound) };
    const settings = {
      ...this.#settings,
      tcpPort: tcp ? tcpPort : null,
      udpPort: udp ? udpPort : null,
    };
    const thread = new LoopThread({
      order: { do: "start-bun", start: { settings, tables: this.#tables, index, sockets } },
      mappings: MAPPINGS,
      events,
      onMessage: (message) => {
        if (message.did !== "start") return;
        if (sockets === null) this.#book(message.bound!);
        events.onRunning();
      },
      onSession: this.#onSession,
    });
    return {
      wake: () => thread.tell({ do: "obey" }),
      end: () => thread.end(),
    };
  }

  /** A loop has opened its own sockets. */
  #book({ tcp, udp }: BoundEndpoints): void {
    this.#bound = {
      tcp: tcp.length > 0 ? tcp : this.#bound.tcp,
      udp: udp.length > 0 ? udp : this.#bound.udp,
    };
  }

  closeListeners(index: number): void {
    const sockets = this.#sockets[index];
    if (sockets === undefined) return;
    closeSockets({ tcp: sockets.tcp, udp: [] });
    this.#sockets[index] = { tcp: [], udp: sockets.udp };
  }

  close(): void {
    for (const sockets of this.#sockets) closeSockets(sockets);
  }
}

function portsOf({ tcp, udp }: BoundEndpoints): Partial<Pick<LoopSettings, "tcpPort" | "udpPort">> {
  return {
    ...(tcp[0] === undefined ? {} : { tcpPort: tcp[0].port }),
    ...(udp[0] === undefined ? {} : { udpPort: udp[0].port }),
  };
}
