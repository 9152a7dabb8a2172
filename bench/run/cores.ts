import type { Pointer } from "bun:ffi";
import { availableParallelism } from "node:os";
import { loadLibc } from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";

/** Which core does what: the server has the first to itself, load the others. With one core, both share it. */
export const SERVER_CORE = 0;

/** Of this process as it was started: what it gives up later does not count. */
const CORES = availableParallelism();

export function coresApart(): boolean {
  return CORES > 1;
}

/** Cores that load may use. */
export function loadCores(): number {
  return Math.max(1, CORES - 1);
}

/** A command that runs pinned to the server's core, where cores can be kept apart. */
export function pinned(command: readonly string[]): string[] {
  return coresApart() && Bun.which("taskset") !== null
    ? ["taskset", "--cpu-list", String(SERVER_CORE), ...command]
    : [...command];
}

/** Keeps this thread, and the Workers that it starts from now on, off the server's core. */
export function leaveServerCore(): void {
  if (!coresApart() || process.platform !== "linux") return;
  const mask = nativeMemory(128);
  for (let core = 0; core < 1024; core++) {
    if (core !== SERVER_CORE && core < CORES) mask.bytes[core >> 3]! |= 1 << (core & 7);
  }
  loadLibc().sched_setaffinity(0, 128, mask.address as Pointer);
}
