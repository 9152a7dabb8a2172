import { addOutage, NO_OUTAGES, type OutageFigures } from "./outages.ts";

/** A message on its way. Its second time is by the clock that lateness is judged by. */
interface Due {
  readonly sentMs: number;
  readonly judgedMs: number;
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
 * first message that got no answer in time to the arrival of the next byte, be it of another session, where the first
 * one broke; so TCP's own back-off is in it. What queues behind that message makes no outage of its own as long as bytes
 * come. A session that breaks with nothing on its way is out from then on.
 */
export class StreamBook {
  sent = 0;
  answered = 0;
  /** On sessions that ended before they were answered. */
  lost = 0;
  /** Answered after the timeout. */
  late = 0;
  readonly #timeoutMs: number;
  #due: Due[] = [];
  #figures = NO_OUTAGES;
  /** Since when there is no session; null while there is one, or has never been. */
  #brokenSinceMs: number | null = null;
  /** Messages that died with sessions since the last byte. */
  #lostNow = 0;
  /** When the last byte came, by both clocks. */
  #lastByte: Due = { sentMs: Number.NEGATIVE_INFINITY, judgedMs: Number.NEGATIVE_INFINITY };

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get underWay(): number {
    return this.#due.length;
  }

  /** Messages on their way, and those that died with the session that broke. */
  get unanswered(): number {
    return this.#due.length + this.#lostNow;
  }

  /** Since when nothing has come that should have; null while nothing is due. */
  get silentSinceMs(): number | null {
    return this.#brokenSinceMs ?? this.#waitingSinceMs();
  }

  /** @param judgedMs the same moment by the clock of lateness */
  send(sentMs: number, judgedMs: number): void {
    this.sent++;
    this.#due.push({ sentMs, judgedMs });
  }

  /** When the oldest messages were sent that are on their way. */
  sendingsOf(messages: number): number[] {
    return this.#due.slice(0, messages).map(({ sentMs }) => sentMs);
  }

  /**
   * Bytes came, which made `messages` whole.
   * @param judgedMs `atMs` by the clock of lateness
   * @returns the outage that they ended, if one
   */
  came(messages: number, atMs: number, judgedMs: number): StreamSilence | null {
    const sinceMs = this.#outSinceMs(judgedMs);
    const done = this.#due.splice(0, messages);
    this.answered += done.length;
    this.late += done.filter((due) => judgedMs - due.judgedMs > this.#timeoutMs).length;
    const lost = this.#lostNow;
    this.#brokenSinceMs = null;
    this.#lostNow = 0;
    this.#lastByte = { sentMs: atMs, judgedMs };
    if (sinceMs === null) return null;
    const silence = { sinceMs: Math.min(sinceMs, atMs), untilMs: atMs, lost };
    this.#figures = addOutage(this.#figures, silence);
    return silence;
  }

  /** The session ended, and with it what was on its way. */
  broke(atMs: number): void {
    this.#brokenSinceMs ??= this.#waitingSinceMs() ?? atMs;
    this.#lostNow += this.#due.length;
    this.lost += this.#due.length;
    this.#due = [];
  }

  /** All outages, one that goes on as long as it is by `nowMs`. */
  figures(nowMs: number, judgedMs: number): OutageFigures {
    const sinceMs = this.#outSinceMs(judgedMs);
    return sinceMs === null ? this.#figures : addOutage(this.#figures, { sinceMs, untilMs: nowMs });
  }

  #waitingSinceMs(): number | null {
    const [first] = this.#due;
    return first === undefined ? null : Math.max(first.sentMs, this.#lastByte.sentMs);
  }

  /** Since when there is an outage, if there is one. */
  #outSinceMs(judgedMs: number): number | null {
    if (this.#brokenSinceMs !== null) return this.#brokenSinceMs;
    const [first] = this.#due;
    const waitingMs = judgedMs - Math.max(first?.judgedMs ?? judgedMs, this.#lastByte.judgedMs);
    return waitingMs > this.#timeoutMs ? this.#waitingSinceMs() : null;
  }
}
