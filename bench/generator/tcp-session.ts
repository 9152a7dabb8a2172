import { BannerEnd } from "./banner.ts";
import type { LoadJob } from "./job.ts";
import { streamStart } from "./payload.ts";
import type { SendTimes } from "./round-trips.ts";
import type { MessageTracker } from "./tracker.ts";

/** One lasting TCP session. Positions count bytes of its stream. */
export class Session {
  readonly start: number;
  readonly tracker: MessageTracker;
  readonly sendTimes: SendTimes;
  banner: BannerEnd | null;
  open = false;
  closed = false;
  /** Messages asked for, and bytes of them that the kernel has. */
  asked = 0;
  sentBytes = 0;
  receivedBytes = 0;
  /** Bytes of an unfinished message, once something was wrong: from then on whole messages are looked at. */
  partial: Uint8Array | null = null;
  answeredMs = 0;
  waitsToSend = false;

  constructor(
    readonly fd: number,
    number: number,
    job: LoadJob,
    tracker: MessageTracker,
    sendTimes: SendTimes,
  ) {
    this.start = streamStart(number);
    this.tracker = tracker;
    this.sendTimes = sendTimes;
    this.banner = job.banner ? new BannerEnd() : null;
  }
}
