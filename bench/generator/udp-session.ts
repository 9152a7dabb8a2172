import type { Stream } from "./payload.ts";
import { SendTimes } from "./round-trips.ts";
import { type Followed, MessageTracker } from "./tracker.ts";

/** One lasting UDP session: a connected socket. */
export class UdpSession {
  readonly tracker: MessageTracker;
  readonly sendTimes: SendTimes;
  /** Messages sent. */
  asked = 0;
  answeredMs = 0;

  /**
   * @param window messages that are under way at once
   * @param timesKept how many sending times are remembered, a power of two
   */
  constructor(
    readonly fd: number,
    readonly stream: Stream,
    readonly window: number,
    counts: Followed,
    timesKept: number,
  ) {
    this.tracker = new MessageTracker(counts);
    this.sendTimes = new SendTimes(timesKept);
  }

  get sent(): number {
    return this.asked;
  }
}
