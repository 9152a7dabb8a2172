import { UsageError } from "../errors.ts";
import type { LoopSettings } from "../rules/settings.ts";
import type { SharedTables } from "../rules/shared.ts";
import { linuxEngineFault } from "./linux/selftest.ts";
import type { Loop, SessionEnd } from "./loop.ts";

/** How the data plane is started. */
export interface StartOptions {
  readonly engine: "auto" | "bun" | "linux";
  /** Loops; `tables` has a row for each. */
  readonly workers: number;
  /** Told of each session's end; null unless the settings ask for it. */
  readonly onSessionEnd: ((end: SessionEnd) => void) | null;
  /** A loop's Worker died and was replaced. */
  readonly onWorkerRestart: (loop: number, why: string) => void;
}

/** All loops of this process as one, and which engine moves their bytes, and why that one. */
export interface Loops extends Loop {
  readonly engine: "bun" | "linux";
  readonly engineReason: string;
  /** Fault injection: makes the last loop throw. */
  fail(): void;
}

/**
 * Starts the data plane: `settings` in `workers` loops over `tables`.
 * @throws StartError when an address cannot be bound, UsageError when `--engine linux` cannot work here
 */
export async function startLoops(
  settings: LoopSettings,
  tables: SharedTables,
  options: StartOptions,
): Promise<Loops> {
  // Only the engine that serves is loaded: the other would cost memory for nothing.
  const startBun = async (reason: string): Promise<Loops> =>
    (await import("./bun-loops.ts")).startBunLoops(settings, tables, options, reason);
  if (options.engine === "bun") return startBun("asked for");
  const fault = linuxEngineFault();
  if (fault === null) {
    const reason = options.engine === "auto" ? "self-test passed" : "asked for";
    return (await import("./linux-loops.ts")).startLinuxLoops(settings, tables, options, reason);
  }
  if (options.engine === "linux") {
    throw new UsageError(`--engine linux does not work here (${fault}); allowed here: auto, bun`);
  }
  return startBun(`the Linux engine does not work here: ${fault}`);
}
