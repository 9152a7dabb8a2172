import { constants } from "node:os";

/** Signals that end the process. Imported first of all (main.ts), so it imports nothing that takes time. */

const controller = new AbortController();

/** Aborts at the first SIGTERM or SIGINT; its reason is the signal's name. */
export const shutdown: AbortSignal = controller.signal;

/** What a process that a signal has ended returns, as a shell sees it. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

// The first asks for an orderly end; the second ends at once, as the signal alone would have.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (shutdown.aborted) process.exit(exitCodeOf(signal));
    controller.abort(signal);
  });
}
