import { addOutage, NO_OUTAGES, type OutageFigures } from "./outages.ts";

/** A message on its way. */
interface Due {
  readonly sentMs: number;
  readonly deadlineMs: number;
}

/** A silence of a session that a byte ended. */
export interface StreamSilence {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Messages that died with a session. */
  readonly lost: number;
}

/**
 * The outages of a session that is held: TCP answers everything in the end, late. An outage runs from the sending of the
 * first message that was not answered in time to the arrival of the next byte, be it of another session, where the first
 * one broke; so TCP's own back-off is in it. A session that breaks with nothing on its way is out from then on.
 * Outages of one flow do not overlap: one that was sent before the last outage's end begins there.
 *
 * Deadlines belong to the clock by which its caller judges lateness; all else to the one by which outages are measured.
 */
export class StreamBook {
  sent = 0;
  answered = 0;
  /** On sessions that ended before they were answered. */
  lost = 0;
  /** Answered after their deadline. */
  late = 0;
  #due: Due[] = [];
  #figures = NO_OUTAGES;
  /** Since when there is no session; null while there is one, or has never been. */
  #brokenSinceMs: number | null = null;
  #lostNow = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  get underWay(): number {
    return this.#due.length;
  }

  /** Messages on their way, and those that died with the session that broke. */
  get unanswered(): number {
    return this.#due.length + this.#lostNow;
  }

  /** Since when nothing has come that should have: null while nothing is due. */
  get silentSinceMs(): number | null {
    return this.#brokenSinceMs ?? this.#due[0]?.sentMs ?? null;
  }

  send(sentMs: number, deadlineMs: number): void {
    this.sent++;
    this.#due.push({ sentMs, deadlineMs });
  }

  /** When the oldest messages were sent that are on their way. */
  sendingsOf(messages: number): number[] {
    return this.#due.slice(0, messages).map(({ sentMs }) => sentMs);
  }

  /**
   * Bytes came, which made `messages` whole.
   * @param judgedMs `atMs` by the clock of the deadlines
   * @returns the outage that they ended, if one
   */
  came(messages: number, atMs: number, judgedMs: number): StreamSilence | null {
    const out = this.#outageAt(judgedMs);
    const done = this.#due.splice(0, messages);
    this.answered += done.length;
    this.late += done.filter(({ deadlineMs }) => deadlineMs < judgedMs).length;
    const lost = this.#lostNow;
    this.#brokenSinceMs = null;
    this.#lostNow = 0;
    if (out === null) return null;
    const silence = { sinceMs: Math.min(out, atMs), untilMs: atMs, lost };
    this.#figures = addOutage(this.#figures, silence);
    this.#lastEndMs = atMs;
    return silence;
  }

  /** The session ended, and with it what was on its way. */
  broke(atMs: number): void {
    this.#brokenSinceMs ??= Math.max(this.#due[0]?.sentMs ?? atMs, this.#lastEndMs);
    this.#lostNow += this.#due.length;
    this.lost += this.#due.length;
    this.#due = [];
  }

  /** All outages, one that goes on as long as it is by `nowMs`. */
  figures(nowMs: number, judgedMs: number): OutageFigures {
    const out = this.#outageAt(judgedMs);
    return out === null ? this.#figures : addOutage(this.#figures, { sinceMs: out, untilMs: nowMs });
  }

  /** Since when there is an outage, if there is one. */
  #outageAt(judgedMs: number): number | null {
    if (this.#brokenSinceMs !== null) return this.#brokenSinceMs;
    const [first] = this.#due;
    if (first === undefined || first.deadlineMs >= judgedMs) return null;
    return Math.max(first.sentMs, this.#lastEndMs);
  }
}
