/** Messages sent in one go before answers are read again: a load that is behind must not look away for long. */
const AT_ONCE = 256;

/** At the end, what is due is sent for so long: a load that had no core for a moment is no slow load. */
const GRACE_MS = 100;

/** Constant arrival: the times at which messages are due, whether answers come or not. */
export class Schedule {
  /** Of the next message. */
  number = 0;
  readonly #intervalMs: number;
  #startMs = 0;
  #endMs = Number.POSITIVE_INFINITY;

  /** @param rate messages a second */
  constructor(rate: number) {
    this.#intervalMs = 1000 / rate;
  }

  begin(nowMs: number): void {
    this.#startMs = nowMs;
  }

  /** How many messages are due and not sent. */
  behind(nowMs: number): number {
    const untilMs = Math.min(nowMs, this.#endMs);
    return Math.max(0, Math.floor((untilMs - this.#startMs) / this.#intervalMs) - this.number);
  }

  /** How many messages are to be sent now. */
  due(nowMs: number): number {
    return Math.min(AT_ONCE, this.behind(nowMs));
  }

  /** Takes the next message; returns when it is due. */
  take(): number {
    return this.#startMs + ++this.number * this.#intervalMs;
  }

  /**
   * The time is over, and nothing more becomes due. What is due and not sent is sent by `send`, if that is soon done.
   * @returns how many messages were not sent
   */
  finish(nowMs: number, send: (schedule: Schedule) => void): number {
    this.#endMs = nowMs;
    while (this.behind(nowMs) > 0 && performance.now() < nowMs + GRACE_MS) send(this);
    return this.behind(nowMs);
  }

  /** How long one may sleep before the next is due: whole milliseconds, and the last is not slept, so as to be on time. */
  waitMs(nowMs: number): number {
    const dueMs = this.#startMs + (this.number + 1) * this.#intervalMs;
    return Math.max(0, Math.floor(dueMs - nowMs) - 1);
  }
}
