/** The time, and a wait: a test has its own. */
export interface Pace {
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

const REAL: Pace = { nowMs: () => performance.now(), sleep: (ms) => Bun.sleep(ms) };

/**
 * Makes `work` begin at most every `intervalMs`, and never twice at a time, however many ask. Whoever asks gets the
 * result of a run that began after the asking, so none is older than its question; all who wait share the next run.
 */
export function paced<T>(work: () => Promise<T>, intervalMs: number, pace: Pace = REAL): () => Promise<T> {
  let earliestMs = Number.NEGATIVE_INFINITY;
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;

  const begin = async (): Promise<T> => {
    await running;
    const waitMs = earliestMs - pace.nowMs();
    if (waitMs > 0) await pace.sleep(waitMs);
    next = null; // a question from here on comes after it began, and needs the next one
    earliestMs = pace.nowMs() + intervalMs;
    const result = work();
    running = result.catch(() => {});
    return result;
  };
  return () => {
    next ??= begin();
    return next;
  };
}
