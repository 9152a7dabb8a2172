import { BannerEnd } from "./banner.ts";
import type { LoadJob } from "./job.ts";
import { type Stream, windowBytes } from "./payload.ts";
import { SendTimes } from "./round-trips.ts";
import { type Followed, MessageTracker } from "./tracker.ts";

/** One lasting TCP session. Positions count bytes of its stream. */
export class TcpSession {
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

  /** @param timesKept how many sending times are remembered, a power of two */
  constructor(
    readonly fd: number,
    readonly stream: Stream,
    job: LoadJob,
    counts: Followed,
    timesKept: number,
  ) {
    this.tracker = new MessageTracker(counts);
    this.sendTimes = new SendTimes(timesKept);
    this.banner = job.banner ? new BannerEnd() : null;
  }

  /** Messages of which the kernel has every byte. */
  get sent(): number {
    return Math.floor(this.sentBytes / this.stream.size);
  }

  /** From now on messages are looked at one by one. The right bytes of one whose rest is still to come are in the stream. */
  cut(): Uint8Array {
    const length = this.receivedBytes % this.stream.size;
    this.partial ??= windowBytes(this.stream, this.receivedBytes - length, length);
    return this.partial;
  }

  /** Where a message is just over, what comes next is compared as a stream again. */
  mend(): void {
    if (this.partial?.length !== 0) return;
    this.partial = null;
    this.receivedBytes = this.tracker.next * this.stream.size;
  }
}
