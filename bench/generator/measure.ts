import { readFileSync, readlinkSync } from "node:fs";
import { encodeIntoCompressedBase64 } from "hdr-histogram-js";
import { type Faults, LIVE, type LoadJob, type LoadResult, noFaults, PHASE } from "./job.ts";
import { newHistogram, record } from "./round-trips.ts";

/** One Worker's measurement: warm-up, then the measured time, then the result. Faults count from the first message on. */
export class Measurement {
  readonly faults: Faults = noFaults();
  readonly #job: LoadJob;
  readonly #live: Float64Array;
  readonly #histogram = newHistogram();
  #measuring = false;
  #startMs = 0;
  #startCpu = 0;
  #endMs = 0;
  #messages = 0;
  #bytes = 0;
  #ended = false;
  #seconds = 0;
  #cpuSeconds = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#live = new Float64Array(job.live);
  }

  /** Sessions are open: warm-up starts. */
  begin(nowMs: number): void {
    this.#live[LIVE.phase] = PHASE.warmup;
    this.#startMs = nowMs + this.#job.warmupMs;
    this.#endMs = this.#startMs + this.#job.durationMs;
  }

  /** A message of the job's size came back, `micros` after it was sent. */
  echoed(micros: number): void {
    if (this.#ended) {
      // Sent in time and back late: not throughput any more, but its wait is as true as the others'.
      if (this.#measuring) record(this.#histogram, micros);
      return;
    }
    this.#live[LIVE.messages]! += 1;
    this.#live[LIVE.bytes]! += this.#job.size;
    if (!this.#measuring) return;
    this.#messages++;
    this.#bytes += this.#job.size;
    record(this.#histogram, micros);
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
      this.#startCpu = threadCpuSeconds();
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
    this.#cpuSeconds = threadCpuSeconds() - this.#startCpu;
  }

  result(): LoadResult {
    return {
      ...this.faults,
      messages: this.#messages,
      bytes: this.#bytes,
      seconds: this.#seconds,
      loadCpuSeconds: this.#cpuSeconds,
      histogram: encodeIntoCompressedBase64(this.#histogram),
    };
  }
}

/** CPU time of the calling thread. */
function threadCpuSeconds(): number {
  const thread = readlinkSync("/proc/thread-self");
  const [nanos] = readFileSync(`/proc/${thread}/schedstat`, "utf8").split(" ");
  return Number(nanos) / 1e9;
}
