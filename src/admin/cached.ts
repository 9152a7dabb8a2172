/** How old a result may be. */
export interface Freshness {
  /** Up to this age it is given as it is. */
  readonly freshMs: number;
  /** Up to this age it is given too, and the next one is begun: nobody waits while somebody looks all the time. */
  readonly staleMs: number;
}

/**
 * Keeps the latest result of `work`, which is begun only when somebody asks, and never twice at a time: many who ask
 * cause one round.
 * @param work must not fail for long: a failure is told to those who wait for it, and kept for nobody
 * @param freshness read at each question, since it may follow what a round costs
 */
export function cached<T>(
  work: () => Promise<T>,
  freshness: Freshness,
  nowMs: () => number = () => performance.now(),
): () => Promise<T> {
  let latest: { readonly result: T; readonly atMs: number } | null = null;
  let running: Promise<T> | null = null;

  const begin = async (): Promise<T> => {
    const atMs = nowMs();
    try {
      const result = await work();
      latest = { result, atMs };
      return result;
    } finally {
      running = null;
    }
  };
  const next = (): Promise<T> => {
    running ??= begin();
    return running;
  };
  return async () => {
    const ageMs = latest === null ? Number.POSITIVE_INFINITY : nowMs() - latest.atMs;
    const { freshMs, staleMs } = freshness;
    if (latest === null || ageMs > staleMs) return next();
    if (ageMs > freshMs) next().catch(() => {}); // whoever waits for it is told
    return latest.result;
  };
}
