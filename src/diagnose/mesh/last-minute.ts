import type { MeshTimes } from "./result.ts";

/** What figures tell of: the time before now, ms. */
const WINDOW_MS = 60_000;

/** What one probe gave; null where it has no such time. */
export interface ProbeFigures {
  readonly rttMs: number | null;
  readonly connectMs: number | null;
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
}

/** The figures of a window. */
export interface MinuteFigures {
  readonly rttMs: MeshTimes | null;
  readonly connectMs: MeshTimes | null;
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
}

export const NO_FIGURES: MinuteFigures = {
  rttMs: null,
  connectMs: null,
  sent: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  corrupted: 0,
};

/**
 * The probes of the last minute, each by itself: there are one or two an interval, so their figures are exact and cost
 * nothing until somebody asks. Knows no clock: `nowMs` is monotonic.
 */
export class LastMinute {
  #probes: { readonly atMs: number; readonly figures: ProbeFigures }[] = [];

  add(figures: ProbeFigures, nowMs: number): void {
    this.#forget(nowMs);
    this.#probes.push({ atMs: nowMs, figures });
  }

  figures(nowMs: number): MinuteFigures {
    this.#forget(nowMs);
    const sum = (of: (figures: ProbeFigures) => number): number =>
      this.#probes.reduce((total, { figures }) => total + of(figures), 0);
    return {
      rttMs: timesOf(this.#probes.map(({ figures }) => figures.rttMs)),
      connectMs: timesOf(this.#probes.map(({ figures }) => figures.connectMs)),
      sent: sum(({ sent }) => sent),
      lost: sum(({ lost }) => lost),
      duplicated: sum(({ duplicated }) => duplicated),
      reordered: sum(({ reordered }) => reordered),
      corrupted: sum(({ corrupted }) => corrupted),
    };
  }

  #forget(nowMs: number): void {
    const kept = this.#probes.findIndex(({ atMs }) => atMs > nowMs - WINDOW_MS);
    if (kept > 0) this.#probes.splice(0, kept);
    else if (kept === -1) this.#probes = [];
  }
}

/** Quantiles by nearest rank, to the microsecond; null without any time. */
function timesOf(times: readonly (number | null)[]): MeshTimes | null {
  const sorted = times.filter((ms) => ms !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const at = (share: number): number => {
    const ms = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
    return Math.round(ms * 1000) / 1000;
  };
  return { p50: at(0.5), p99: at(0.99) };
}
