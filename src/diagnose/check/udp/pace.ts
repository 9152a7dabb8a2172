import type { Tracker } from "../../../client/tracker.ts";

/** Stragglers and doubles are waited for so long after the last echo, or three times the largest round trip. */
const LINGER_MS = 100;
const LINGER_ROUND_TRIPS = 3;

interface PaceOptions {
  /** Messages of the flow. */
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What is known of a flow when it is asked what to do next. */
export interface PaceState {
  readonly tracker: Tracker;
  /** Whether an answer came, or ICMP in its place. */
  readonly told: boolean;
  /** Whether ICMP told, and no echo ever came: there is nothing to wait for. */
  readonly hopeless: boolean;
  /** When the latest message was answered; null before the first. */
  readonly echoAtMs: number | null;
  /** Null before the first. */
  readonly largestRoundTripMs: number | null;
}

/**
 * When a flow sends, and when it is over. It reads no clock. Until the first answer, or until the first message's time
 * is up, one message is under way and no more: two at once race for the path's connection tracking. After that one is
 * sent each interval whatever comes; where this process was late, it does not catch up by a burst.
 */
export class FlowPace {
  readonly #options: PaceOptions;
  #sent = 0;
  #firstMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Messages sent. */
  get sent(): number {
    return this.#sent;
  }

  sentAt(nowMs: number): void {
    if (this.#sent++ === 0) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
  }

  /** When the next message is due, which may be past; Infinity after the last. */
  nextSendMs(told: boolean): number {
    const { count, intervalMs, timeoutMs } = this.#options;
    if (this.#sent >= count) return Number.POSITIVE_INFINITY;
    if (this.#sent === 0) return Number.NEGATIVE_INFINITY;
    const intervalEndMs = this.#lastMs + intervalMs;
    return told ? intervalEndMs : Math.max(intervalEndMs, this.#firstMs + timeoutMs);
  }

  /**
   * When there is nothing more to wait for, all messages being sent: when each is answered or its time is up, and the
   * linger after the last answer is over. Infinity while there are messages to send.
   */
  endMs(state: PaceState): number {
    if (this.#sent < this.#options.count) return Number.POSITIVE_INFINITY;
    const { tracker, hopeless, echoAtMs, largestRoundTripMs } = state;
    if (hopeless) return this.#lastMs + LINGER_MS;
    if (tracker.underWay > 0) return tracker.nextDeadlineMs;
    if (echoAtMs === null) return Number.NEGATIVE_INFINITY;
    return echoAtMs + Math.max(LINGER_MS, LINGER_ROUND_TRIPS * (largestRoundTripMs ?? 0));
  }
}
