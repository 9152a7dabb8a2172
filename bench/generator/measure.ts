import { readFileSync, readlinkSync } from "node:fs";
import { encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";
import { type Counts, LIVE, type LoadJob, type LoadResult, noCounts, PATIENCE_MS, PHASE } from "./job.ts";
import { newHistogram, record } from "./round-trips.ts";

/** A session, as far as it has to know that an answer of its went elsewhere. */
interface Sender {
  readonly sent: number;
  readonly tracker: { astray(number: number): void };
}

const DRAIN_MAX_MS = 15_000;

/** One Worker's measurement: warm-up, then the measured time, then the result. `counts` count from the first message on. */
export class Measurement {
  readonly counts: Counts = noCounts();
  /** Messages sent in all, set at the end. */
  sent = 0;
  untimed = 0;
  /** Messages that were due and that the load did not come to. */
  #behind = 0;
  strays = 0;
  overflowed = 0;
  readonly #job: LoadJob;
  readonly #live: Float64Array;
  readonly #histogram = newHistogram();
  readonly #lateness: Histogram | null;
  /** The longest wait for an answer so far. */
  #longestMs = 0;
  #measuring = false;
  #startMs = 0;
  #endMs = 0;
  #startThread: ThreadTime = { cpu: 0, wait: 0 };
  #thread: ThreadTime = { cpu: 0, wait: 0 };
  #messages = 0;
  readonly #mostMessages: number;
  #ended = false;
  #seconds = 0;
  #problem: string | null = null;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#live = new Float64Array(job.live);
    this.#mostMessages = job.requests > 0 ? job.requests : Number.POSITIVE_INFINITY;
    this.#lateness = job.rate > 0 ? newHistogram() : null;
  }

  /** Sessions are open: warm-up starts. */
  begin(nowMs: number): void {
    this.#live[LIVE.phase] = PHASE.warmup;
    this.#startMs = nowMs + this.#job.warmupMs;
    this.#endMs = this.#startMs + this.#job.durationMs;
  }

  /** `count` messages of the job's size came back that were sent, or due, at `sentMs`. */
  echoed(nowMs: number, sentMs: number, count: number): void {
    const waitedMs = nowMs - sentMs;
    if (waitedMs > this.#longestMs) this.#longestMs = waitedMs;
    if (waitedMs > PATIENCE_MS) this.counts.late += count;
    if (!this.#ended) {
      this.#live[LIVE.messages]! += count;
      this.#live[LIVE.bytes]! += count * this.#job.size;
    }
    if (!this.#measuring) return;
    // Sent in the measured time and back after it: not throughput any more, but its wait is as true as the others'.
    if (sentMs >= this.#startMs) record(this.#histogram, waitedMs * 1000, count);
    if (this.#ended) return;
    this.#messages += count;
    if (this.#messages >= this.#mostMessages) this.#enough(nowMs);
  }

  /** As many as were asked for; those beyond came with the last of them. */
  #enough(nowMs: number): void {
    this.#messages = this.#mostMessages;
    this.#end(nowMs);
  }

  /** A message was sent whose time was `dueMs`; a load that is far behind still sends those of its warm-up. */
  sentAt(nowMs: number, dueMs: number): void {
    if (this.#lateness !== null && this.#measuring) record(this.#lateness, (nowMs - dueMs) * 1000, 1);
  }

  /** The time is over, and the load did not come to so many messages that were due. */
  leaveBehind(count: number): void {
    this.#behind = count;
    this.counts.notSent += count;
  }

  /** An answer came to another session than its own, `rightful`; undefined: another Worker's, which misses it. */
  foreign(rightful: Sender | undefined, number: number): void {
    this.counts.foreign++;
    if (rightful === undefined) this.strays++;
    else if (number < rightful.sent) rightful.tracker.astray(number);
  }

  /** A session failed, or could not be opened; the first time, why is kept. */
  failed(why: string): void {
    this.counts.errors++;
    this.#problem ??= why;
  }

  /** What is still due at the end is waited for so long: twice the longest wait so far, within bounds. */
  get drainMs(): number {
    return Math.min(DRAIN_MAX_MS, Math.max(PATIENCE_MS, 2 * this.#longestMs));
  }

  set sessions(count: number) {
    this.#live[LIVE.sessions] = count;
  }

  /** Looks at the time; true when it is over, or the parent wants an end. */
  over(nowMs: number): boolean {
    if (!this.#measuring && nowMs >= this.#startMs) {
      this.#measuring = true;
      this.#startMs = nowMs;
      this.#endMs = nowMs + this.#job.durationMs;
      this.#startThread = threadTime();
      this.#live[LIVE.phase] = PHASE.measuring;
    }
    if (nowMs >= this.#endMs || this.#live[LIVE.stop] === 1) this.#end(nowMs);
    return this.#ended;
  }

  #end(nowMs: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#live[LIVE.phase] = PHASE.done;
    if (!this.#measuring) return;
    this.#seconds = (nowMs - this.#startMs) / 1000;
    this.#thread = threadTime();
  }

  result(): LoadResult {
    return {
      ...this.counts,
      messages: this.#messages,
      bytes: this.#messages * this.#job.size,
      seconds: this.#seconds,
      sent: this.sent,
      untimed: this.untimed,
      behind: this.#behind,
      strays: this.strays,
      overflowed: this.overflowed,
      loadCpuSeconds: this.#thread.cpu - this.#startThread.cpu,
      loadWaitSeconds: this.#thread.wait - this.#startThread.wait,
      histogram: encodeIntoCompressedBase64(this.#histogram),
      lateness: this.#lateness === null ? null : encodeIntoCompressedBase64(this.#lateness),
      problem: this.#problem,
    };
  }
}

interface ThreadTime {
  readonly cpu: number;
  readonly wait: number;
}

/** Seconds in which the calling thread ran, and in which it could have run and had no core. */
function threadTime(): ThreadTime {
  const thread = readlinkSync("/proc/thread-self");
  const [cpu, wait] = readFileSync(`/proc/${thread}/schedstat`, "utf8").split(" ");
  return { cpu: Number(cpu) / 1e9, wait: Number(wait) / 1e9 };
}
