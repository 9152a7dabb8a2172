import { StartError } from "../../errors.ts";
import { hasLibc } from "../../sys/libc.ts";
import type { CheckResult } from "../result.ts";
import { runTask } from "../thread.ts";
import type { CheckInput } from "./task.ts";

/** How sockets are made: by Bun alone, by system calls of Linux, or by what works here. */
export type Engine = "auto" | "bun" | "linux";

interface Access {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** Told now and then how far all of it is, 0 to 1. */
  progress(share: number): void;
}

/**
 * Asks every address, by the sockets that were asked for.
 * @throws StartError where those are not to be had here
 */
export function askAll(input: CheckInput, { engine, signal, progress }: Access): Promise<CheckResult[]> {
  if (engine === "linux" && !hasLibc())
    throw new StartError("--engine linux: this machine's libc cannot be used; --engine bun works anywhere");
  const onEvent = ({ share }: { readonly share: number }): void => progress(share);
  return runTask("check", input, { signal, onEvent, bySystemCalls: engine !== "bun" });
}
