import type { LoopSettings } from "../rules/settings.ts";
import type { SharedTables } from "../rules/shared.ts";

/** The addresses a loop listens on, as `ip:port` or `[ip]:port`, with real ports where 0 was asked for. */
export interface BoundAddresses {
  readonly tcp: readonly string[];
  readonly udp: readonly string[];
}

/** What moves bytes: one data-plane loop, as the control plane sees it, whichever engine and thread it runs in. */
export interface Loop {
  readonly bound: BoundAddresses;
  /** Take no new sessions; those that exist go on. */
  drain(): void;
  /** End what is left: what is owed is flushed, then FIN; a session that does not close after that is dropped. */
  cut(): void;
  /** Free everything at once. Resolves when no descriptor of the loop is open. */
  stop(): Promise<void>;
}

/** What every loop is started with. `index` is its row in the shared tables. */
export interface LoopStart {
  readonly settings: LoopSettings;
  readonly tables: SharedTables;
  readonly index: number;
  /** Several loops listen on the same ports (SO_REUSEPORT). */
  readonly shared: boolean;
}

/** A session's end, told to the log at debug level. Addresses as `ip:port`. */
export interface SessionEnd {
  readonly protocol: "tcp" | "udp";
  readonly client: string;
  readonly server: string;
  readonly reason: string;
  readonly seconds: number;
}

/** A probe's connection takes milliseconds; one that is still here after so long is given up, and the probe will tell. */
export const PROBE_LIFE_MS = 5000;
