import { sleep } from "../../client/deadlines.ts";

/** Waits, but no longer than until the signal is aborted. Below 0 it does not wait. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, signal);
}
