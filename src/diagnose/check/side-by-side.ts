import { sleep } from "../../client/deadlines.ts";

/**
 * Does the same several times at once, begun spread over a time, so that they do not all send in the same instant.
 * Once the signal is aborted they begin at once.
 * @param spreadMs the time over which their beginnings are spread evenly
 * @returns what they give, in their order
 */
export function sideBySide<T>(
  count: number,
  spreadMs: number,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T[]> {
  const beginAt = async (place: number): Promise<T> => {
    await sleep((place * spreadMs) / count, signal);
    return work();
  };
  return Promise.all(Array.from({ length: count }, (_, place) => beginAt(place)));
}
