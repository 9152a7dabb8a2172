/** Waits, but no longer than until the signal is aborted. Below 0 it does not wait. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const abort = (): void => resolve();
  signal.addEventListener("abort", abort);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
}
