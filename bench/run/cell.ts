import { decodeFromCompressedBase64, type Histogram } from "hdr-histogram-js";
import { LIVE, type LoadJob, type LoadResult, noFaults, PHASE } from "../generator/job.ts";
import { newHistogram } from "../generator/round-trips.ts";
import type { FromLoadWorker } from "../generator/worker.ts";
import { tcpSpeaksFirst, udpGreets } from "./banner-probe.ts";
import { anonymousBytes, CpuMeter, residentBytes } from "./process-stats.ts";
import type { Cell, CellResult, Percentiles, Sample, Target, Timing } from "./types.ts";

const SAMPLE_EVERY_MS = 200;
/** A short run is looked at as often as this. */
const SAMPLES_MIN = 5;

/** Told how far a cell is, 0 to 1. */
export type OnProgress = (share: number) => void;

/** Measures one cell. An abort ends it early, with what there is by then. */
export async function runCell(
  cell: Cell,
  target: Target,
  timing: Timing,
  abort: AbortSignal,
  onProgress: OnProgress,
): Promise<CellResult> {
  const port = cell.protocol === "tcp" ? target.tcpPort : target.udpPort;
  if (port === null) throw new Error(`${target.name} does not serve ${cell.protocol}`);
  const banner = await (cell.protocol === "tcp" ? tcpSpeaksFirst : udpGreets)(target.host, port);
  const jobs = splitJobs(cell, timing, { host: target.host, port, banner });
  const memoryBefore = target.pid === null ? 0 : anonymousBytes(target.pid);
  const answers = jobs.map(runJob);
  const watch = new Watch(jobs, target.pid);
  const stop = (): void => {
    for (const job of jobs) new Float64Array(job.live)[LIVE.stop] = 1;
  };
  abort.addEventListener("abort", stop);
  const timer = setInterval(
    () => {
      watch.sample();
      onProgress(watch.progress(timing));
    },
    Math.min(SAMPLE_EVERY_MS, timing.durationMs / SAMPLES_MIN),
  );
  try {
    const results = await Promise.all(answers);
    watch.sample();
    return summarise(cell, results, watch, memoryBefore, timing);
  } finally {
    clearInterval(timer);
    abort.removeEventListener("abort", stop);
  }
}

function splitJobs(cell: Cell, timing: Timing, at: Pick<LoadJob, "host" | "port" | "banner">): LoadJob[] {
  const workers = Math.min(timing.workers, cell.connections);
  const share = (total: number, index: number): number =>
    Math.floor(total / workers) + (index < total % workers ? 1 : 0);
  return Array.from({ length: workers }, (_, index) => ({
    ...at,
    protocol: cell.protocol,
    mode: cell.mode,
    connections: share(cell.connections, index),
    size: cell.size,
    inFlight: cell.protocol === "udp" ? Math.max(1, share(cell.inFlight, index)) : cell.inFlight,
    rate: cell.rate / workers,
    warmupMs: timing.warmupMs,
    durationMs: timing.durationMs,
    seed: index + 1,
    live: new SharedArrayBuffer(LIVE.columns * 8),
  }));
}

function runJob(job: LoadJob): Promise<LoadResult> {
  const { promise, resolve, reject } = Promise.withResolvers<LoadResult>();
  const worker = new Worker(new URL("../generator/worker.ts", import.meta.url).href);
  worker.onmessage = ({ data }: MessageEvent<FromLoadWorker>) => {
    if ("result" in data) resolve(data.result);
    else reject(new Error(`load: ${data.fault}`));
    worker.terminate();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`load: ${event.message}`));
  };
  worker.postMessage(job);
  return promise;
}

/** Looks at the Workers' live numbers and at the server while a cell runs. */
class Watch {
  readonly samples: Sample[] = [];
  readonly #live: readonly Float64Array[];
  readonly #pid: number | null;
  readonly #meter: CpuMeter | null;
  #measuringSinceMs = 0;
  #firstMs = 0;
  #last = { ms: 0, messages: 0, cpu: 0 };
  /** The server's CPU seconds and the messages echoed since measuring began, as of the latest sample. */
  cpuSeconds = 0;
  messages = 0;
  rssMb = 0;
  anonymousBytes = 0;
  sessions = 0;
  #cpuAtStart = 0;
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
    const cpu = this.#meter?.seconds() ?? 0;
    this.sessions = this.#sum(LIVE.sessions);
    const phase = Math.min(...this.#live.map((live) => live[LIVE.phase]!));
    if (phase < PHASE.measuring) return;
    if (this.#measuringSinceMs === 0) {
      // Once the Workers are done there is nothing left to measure.
      if (phase === PHASE.done) return;
      this.#measuringSinceMs = ms;
      this.#firstMs = ms;
      this.#cpuAtStart = cpu;
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
    this.messages = messages - this.#messagesAtStart;
    this.samples.push({
      at: (ms - this.#firstMs) / 1000,
      messagesPerSecond: (messages - this.#last.messages) / seconds,
      serverCpu: this.#pid === null ? null : (cpu - this.#last.cpu) / seconds,
      serverRssMb: this.#pid === null ? null : this.rssMb,
    });
    this.#last = { ms, messages, cpu };
  }

  progress(timing: Timing): number {
    if (this.#measuringSinceMs === 0) return 0.1;
    return Math.min(1, 0.2 + (0.8 * (performance.now() - this.#measuringSinceMs)) / timing.durationMs);
  }

  #sum(column: number): number {
    return this.#live.reduce((sum, live) => sum + live[column]!, 0);
  }
}

function summarise(
  cell: Cell,
  results: readonly LoadResult[],
  watch: Watch,
  memoryBefore: number,
  timing: Timing,
): CellResult {
  const histogram = newHistogram();
  const faults = noFaults();
  for (const result of results) {
    histogram.add(decodeFromCompressedBase64(result.histogram));
    for (const name of Object.keys(faults) as (keyof typeof faults)[]) faults[name] += result[name];
  }
  const messages = results.reduce((sum, result) => sum + result.messages, 0);
  const seconds = Math.max(...results.map((result) => result.seconds));
  const perSecond = seconds > 0 ? messages / seconds : 0;
  const idle = cell.mode === "idle";
  const loadCpu = Math.max(
    ...results.map(({ loadCpuSeconds, seconds: s }) => (s > 0 ? loadCpuSeconds / s : 0)),
  );
  return {
    cell,
    ...faults,
    sessions: watch.sessions,
    messages,
    seconds,
    messagesPerSecond: perSecond,
    megabytesPerSecond: (perSecond * cell.size) / 1e6,
    roundTrip: messages === 0 ? null : percentiles(histogram),
    curve: messages === 0 ? [] : curve(histogram),
    serverCpuMicros: watch.watched && watch.messages > 0 ? (watch.cpuSeconds / watch.messages) * 1e6 : null,
    serverRssMb: watch.watched ? watch.rssMb : null,
    rssPerSession:
      idle && watch.watched ? (watch.anonymousBytes - memoryBefore) / Math.max(1, watch.sessions) : null,
    idleCpu: idle && watch.watched ? watch.cpuSeconds / (timing.durationMs / 1000) : null,
    loadCpu,
    samples: watch.samples,
  };
}

function percentiles(histogram: Histogram): Percentiles {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile);
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: histogram.maxValue };
}

/** Denser towards the top, where the tail is: 0, 10, ... 90, 91, ... 99, 99.1, ... 99.999. */
function curve(histogram: Histogram): [number, number][] {
  const points: [number, number][] = [];
  for (let remaining = 100; remaining > 0.0005; remaining /= 10) {
    for (let tenth = 0; tenth < 9; tenth++) {
      const percentile = 100 - remaining + (tenth * remaining) / 10;
      points.push([percentile, histogram.getValueAtPercentile(percentile)]);
    }
  }
  return points;
}
