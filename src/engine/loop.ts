import type { Endpoint } from "../net/endpoint.ts";
import type { RuleSettings } from "../rules/settings.ts";
import type { SharedTables } from "../state/shared.ts";
import type { BoundSocket } from "./bind.ts";
import type { SessionEvent } from "./session-log.ts";

/**
 * What a loop needs to know, and nothing else: plain data that can be cloned into a Worker. The control plane makes it
 * from the options (`server/settings.ts`).
 */
export interface LoopSettings extends RuleSettings {
  /** Addresses to listen on: IP literals; `::` is dual stack. Never empty. */
  readonly hosts: readonly string[];
  /** TCP port, 0 for any free one, null for no TCP. */
  readonly tcpPort: number | null;
  /** UDP port, 0 for any free one, null for no UDP. */
  readonly udpPort: number | null;
  /** Descriptors for so many are kept from sessions, as far as the open-file limit has room. */
  readonly maxAdminConnections: number;
  /** Idle time until the kernel asks whether the peer is still there; 0: it does not. */
  readonly tcpKeepAliveMs: number;
  /** Bytes kept for one reader that is slower than its own sending; above it the session is reset. */
  readonly maxQueuedBytes: number;
  /** How long a Linux loop looks for work before it sleeps; 0: not at all. */
  readonly busyPollMicros: number;
  /** Tell each TCP session's beginning and end to the log (debug level only: it costs two messages per session). */
  readonly logSessions: boolean;
}

/** Where loops listen, with real ports where 0 was asked for. */
export interface BoundEndpoints {
  readonly tcp: readonly Endpoint[];
  readonly udp: readonly Endpoint[];
}

/** What moves bytes: the data plane, as the control plane sees it, whichever engine and threads it runs in. */
export interface Loop {
  readonly bound: BoundEndpoints;
  /** Take no new sessions; those that exist go on. */
  drain(): void;
  /** End what is left, within `FLUSH_MS` (see `cut.ts`). */
  cut(): void;
  /** Free everything at once. Resolves when no descriptor of the loop is open. */
  stop(): Promise<void>;
}

/** Which engine moves bytes, and why that one. */
export interface EngineChoice {
  readonly engine: "bun" | "linux";
  readonly engineReason: string;
}

/** All loops of this process as one. */
export interface Loops extends Loop, EngineChoice {
  /** Fault injection: makes the last loop throw. */
  fail(): void;
}

/** What the control plane is told of its loops. */
export interface LoopsEvents {
  /** Told of each session's beginning and end; null unless the settings ask for it. */
  readonly onSession: ((event: SessionEvent) => void) | null;
  /** A loop died of a fault and will be replaced. */
  readonly onRestart: (loop: number, why: string) => void;
  /** A loop that was to take a dead one's place could not start; it is tried again after a pause. */
  readonly onStartFailure: (loop: number, why: string, retryMs: number) => void;
  /** A loop runs in a dead one's place. */
  readonly onReplacement: (loop: number) => void;
  /** A loop died while the server drained: it is not replaced. */
  readonly onLoss: (loop: number, why: string) => void;
  /** A bug showed in one session of a loop, which was reset for it. */
  readonly onSessionFault: (loop: number, why: string) => void;
}

/** Sockets of one loop, opened and owned by the control plane, so that they outlive the loop. Plain data. */
export interface LoopSockets {
  /** Empty once the server drains: an open listener that nobody accepts on would let clients wait in vain. */
  readonly tcp: readonly BoundSocket[];
  readonly udp: readonly BoundSocket[];
}

/** What every loop is started with. `index` is its row in the shared tables. */
export interface LoopStart {
  readonly settings: LoopSettings;
  readonly tables: SharedTables;
  readonly index: number;
}

/** What a portable loop is started with. */
export interface BunLoopStart extends LoopStart {
  /** Sockets that the control plane has opened and keeps; null where there is no libc: the loop opens its own. */
  readonly sockets: LoopSockets | null;
}

/** A probe's connection takes milliseconds; one that is still here after so long is given up, and the probe will tell. */
export const PROBE_LIFE_MS = 5000;
