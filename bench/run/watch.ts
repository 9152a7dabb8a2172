import { LIVE, type LoadJob, PHASE } from "../generator/job.ts";
import { anonymousBytes, CpuMeter, residentBytes } from "./process-stats.ts";
import type { CoreShare, Sample, Timing } from "./types.ts";

/** Looks at the Workers' live numbers and at the server while a cell runs. */
export class Watch {
  readonly samples: Sample[] = [];
  readonly #live: readonly Float64Array[];
  readonly #pid: number | null;
  readonly #meter: CpuMeter | null;
  #measuringSinceMs = 0;
  #firstMs = 0;
  #last = { ms: 0, messages: 0, cpu: 0 };
  #seen = { ms: 0, messages: 0 };
  /** Messages a second at the latest look, warm-up included. */
  perSecond = 0;
  /** The server's CPU seconds and the messages echoed since measuring began, as of the latest sample. */
  cpuSeconds = 0;
  /** The share of them that was outside the kernel; 0 where no tick saw the server. */
  userShare = 0;
  messages = 0;
  rssMb = 0;
  anonymousBytes = 0;
  sessions = 0;
  #coreSeconds = 0;
  #waitSeconds = 0;
  #cpuAtStart = 0;
  #ticksAtStart = { user: 0, system: 0 };
  #waitAtStart = 0;
  #messagesAtStart = 0;

  constructor(jobs: readonly LoadJob[], pid: number | null) {
    this.#live = jobs.map((job) => new Float64Array(job.live));
    this.#pid = pid;
    this.#meter = pid === null ? null : new CpuMeter(pid);
  }

  get watched(): boolean {
    return this.#pid !== null;
  }

  sample(): void {
    const ms = performance.now();
    const messages = this.#sum(LIVE.messages);
    const time = this.#meter?.read() ?? { cpu: 0, wait: 0, user: 0, system: 0 };
    const { cpu, wait } = time;
    this.perSecond = (1000 * (messages - this.#seen.messages)) / (ms - this.#seen.ms);
    this.#seen = { ms, messages };
    this.sessions = this.#sum(LIVE.sessions);
    const phase = Math.min(...this.#live.map((live) => live[LIVE.phase]!));
    if (phase < PHASE.measuring) return;
    if (this.#measuringSinceMs === 0) {
      // Once the Workers are done there is nothing left to measure.
      if (phase === PHASE.done) return;
      this.#measuringSinceMs = ms;
      this.#firstMs = ms;
      this.#cpuAtStart = cpu;
      this.#ticksAtStart = time;
      this.#waitAtStart = wait;
      this.#messagesAtStart = messages;
      this.#last = { ms, messages, cpu };
      return;
    }
    if (phase === PHASE.done && messages === this.#last.messages) return;
    const seconds = (ms - this.#last.ms) / 1000;
    if (seconds < 0.02) return;
    this.rssMb = this.#pid === null ? 0 : residentBytes(this.#pid) / 1e6;
    this.anonymousBytes = this.#pid === null ? 0 : anonymousBytes(this.#pid);
    this.cpuSeconds = cpu - this.#cpuAtStart;
    const user = time.user - this.#ticksAtStart.user;
    const ticks = user + time.system - this.#ticksAtStart.system;
    this.userShare = ticks > 0 ? user / ticks : 0;
    this.#waitSeconds = wait - this.#waitAtStart;
    this.#coreSeconds = (ms - this.#firstMs) / 1000;
    this.messages = messages - this.#messagesAtStart;
    this.samples.push({
      at: (ms - this.#firstMs) / 1000,
      messagesPerSecond: (messages - this.#last.messages) / seconds,
      serverCpu: this.#pid === null ? null : (cpu - this.#last.cpu) / seconds,
      serverRssMb: this.#pid === null ? null : this.rssMb,
    });
    this.#last = { ms, messages, cpu };
  }

  /** How long the server ran and waited, of the time from the first look at it to the latest. */
  get serverCore(): CoreShare | null {
    if (this.#pid === null || this.#coreSeconds === 0) return null;
    return { used: this.cpuSeconds / this.#coreSeconds, waited: this.#waitSeconds / this.#coreSeconds };
  }

  /** How far the cell is, 0 to 1. */
  progress(timing: Timing): number {
    if (this.#measuringSinceMs === 0) return 0.1;
    const byTime = (performance.now() - this.#measuringSinceMs) / timing.durationMs;
    const byCount = timing.requests > 0 ? this.messages / timing.requests : 0;
    return Math.min(1, 0.2 + 0.8 * Math.max(byTime, byCount));
  }

  #sum(column: number): number {
    return this.#live.reduce((sum, live) => sum + live[column]!, 0);
  }
}
