/** Waking up later than this is more than a timer's own coarseness. */
const SLACK_MS = 20;

/** Stalls whose place is remembered. */
const KEPT = 64;

interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
  /** All stalls before it, ms. */
  readonly before: number;
}

/**
 * Times in which this process did not run: the machine was busy, or it was stopped. What it sends late then is no
 * outage, since an outage is measured from sending to sending; and what it reads late was perhaps not late. So how long
 * an answer took is judged by a clock that stands still meanwhile.
 */
export class Stalls {
  count = 0;
  longestMs = 0;
  #kept: Stall[] = [];
  #totalMs = 0;
  #knownUntilMs = Number.NEGATIVE_INFINITY;

  get totalMs(): number {
    return this.#totalMs;
  }

  /** It runs now, and should have run at `dueMs`. */
  ran(dueMs: number, nowMs: number): void {
    const fromMs = Math.max(dueMs, this.#knownUntilMs);
    const ms = nowMs - fromMs;
    if (ms <= SLACK_MS) return;
    this.#kept.push({ fromMs, toMs: nowMs, before: this.#totalMs });
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.#totalMs += ms;
    this.#knownUntilMs = nowMs;
    this.count++;
    this.longestMs = Math.max(this.longestMs, ms);
  }

  /** A moment by the clock that stands still during stalls, ms. It is right for moments since the oldest that is remembered. */
  awakeAt(ms: number): number {
    for (const { fromMs, toMs, before } of this.#kept.toReversed()) {
      if (ms >= toMs) return ms - before - (toMs - fromMs);
      if (ms >= fromMs) return fromMs - before;
    }
    return ms - (this.#kept[0]?.before ?? 0);
  }

  /** How long this process did not run between two moments, ms. */
  between(fromMs: number, toMs: number): number {
    return toMs - fromMs - (this.awakeAt(toMs) - this.awakeAt(fromMs));
  }
}
