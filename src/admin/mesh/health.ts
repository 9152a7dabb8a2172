import type { MeshBook } from "../../diagnose/mesh/book.ts";
import { plural, timeText } from "../../diagnose/words.ts";
import type { Verdict } from "../health.ts";

/** The thread that asks has hung when it told nothing for so long, or for ten intervals: it must at every one. */
const SILENCE_MAX_MS = 30_000;
const INTERVALS_MAX = 10;

/** What liveness is judged by. */
export interface ThreadFacts {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** When the thread told of a probe last, or began. */
  readonly lastToldMs: number;
}

/** Whether the thread that asks goes on: told of no probe, where there are peers to ask, it has hung. */
export function proberLiveness(
  book: Pick<MeshBook, "pairs">,
  { intervalMs, timeoutMs, lastToldMs }: ThreadFacts,
  nowMs: number,
): Verdict {
  const silentMs = nowMs - lastToldMs;
  const mayMs = Math.max(SILENCE_MAX_MS, INTERVALS_MAX * intervalMs + timeoutMs);
  if (book.pairs.size === 0 || silentMs <= mayMs) return { ok: true, text: "live" };
  return { ok: false, text: `not live: no probe was told of for ${timeText(silentMs)}` };
}

/**
 * A prober that serves is ready, whatever it sees: a Pod whose readiness followed the network's would leave its Services,
 * and take the servers beside it along, just when somebody wants to know what is wrong.
 */
export function proberReadiness({ pairs }: Pick<MeshBook, "pairs">): Verdict {
  const all = [...pairs.values()].flat();
  const down = all.filter(({ up }) => up === false).length;
  const unknown = all.filter(({ up }) => up === null).length;
  const says = `${plural(all.length, "pair")}, ${down} down, ${unknown} unknown`;
  return { ok: true, text: `ready (${says}; this says nothing of the network's health)` };
}
