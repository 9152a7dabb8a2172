import { decodeFromCompressedBase64, type Histogram } from "hdr-histogram-js";
import { LIVE, type LoadJob, type LoadResult, noCounts } from "../generator/job.ts";
import { IDENTITIES } from "../generator/payload.ts";
import { newHistogram } from "../generator/round-trips.ts";
import type { FromLoadWorker } from "../generator/worker.ts";
import { tcpSpeaksFirst, udpGreets } from "./banner-probe.ts";
import { coresApart, loadCores } from "./cores.ts";
import { anonymousBytes } from "./process-stats.ts";
import type { Cell, CellResult, Percentiles, Target, Timing } from "./types.ts";
import { judgeCell, type Measured } from "./verdict.ts";
import { Watch } from "./watch.ts";

const SAMPLE_EVERY_MS = 200;
/** A short run is looked at as often as this. */
const SAMPLES_MIN = 5;

/** Told how far a cell is, 0 to 1, and how many messages a second it makes at the moment. */
export type OnProgress = (share: number, perSecond: number) => void;

/** Of this run alone: another run's messages are not ours. */
const SEED = 1 + Math.floor(Math.random() * 0x7fff_fffe);

/** No two sessions of a run are alike, whichever cell they belong to. 0 is nobody's. */
let nextIdentity = 1;

/** Measures one cell. An abort ends it early, with what there is by then. */
export async function runCell(
  cell: Cell,
  target: Target,
  timing: Timing,
  abort: AbortSignal,
  onProgress: OnProgress,
): Promise<CellResult> {
  const at = target[cell.protocol];
  if (at === null) throw new Error(`${target.name} does not serve ${cell.protocol}`);
  const { host, port } = at;
  const { source } = target;
  const banner = await (cell.protocol === "tcp" ? tcpSpeaksFirst : udpGreets)(host, port, source);
  const jobs = splitJobs(cell, timing, { host, port, source, banner });
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
      onProgress(watch.progress(timing), watch.perSecond);
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

function splitJobs(
  cell: Cell,
  timing: Timing,
  at: Pick<LoadJob, "host" | "port" | "source" | "banner">,
): LoadJob[] {
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
    requests: timing.requests === 0 ? 0 : Math.max(1, share(timing.requests, index)),
    seed: SEED,
    firstIdentity: identities(share(cell.connections, index)),
    live: new SharedArrayBuffer(LIVE.columns * 8),
  }));
}

/** The first of `count` identities that no other session has. */
function identities(count: number): number {
  if (nextIdentity + count > IDENTITIES) nextIdentity = 1; // millions of sessions later
  const first = nextIdentity;
  nextIdentity += count;
  return first;
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

function summarise(
  cell: Cell,
  results: readonly LoadResult[],
  watch: Watch,
  memoryBefore: number,
  timing: Timing,
): CellResult {
  const measured = measure(cell, results, watch, memoryBefore, timing);
  const sum = (of: (result: LoadResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const verdict = judgeCell(measured, {
    untimed: sum(({ untimed }) => untimed),
    behind: sum(({ behind }) => behind),
    overflowed: sum(({ overflowed }) => overflowed),
    problem: results.find(({ problem }) => problem !== null)?.problem ?? null,
    coresApart: coresApart() && results.length <= loadCores(),
  });
  return { ...verdict, ...measured };
}

function measure(
  cell: Cell,
  results: readonly LoadResult[],
  watch: Watch,
  memoryBefore: number,
  timing: Timing,
): Measured {
  const histogram = newHistogram();
  const lateness = newHistogram();
  const counts = noCounts();
  for (const result of results) {
    histogram.add(decodeFromCompressedBase64(result.histogram));
    if (result.lateness !== null) lateness.add(decodeFromCompressedBase64(result.lateness));
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += result[name];
  }
  const sum = (of: (result: LoadResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  // What came to a session of another Worker is counted there, and missed here.
  counts.lost = Math.max(0, counts.lost - sum(({ strays }) => strays));
  const messages = sum((result) => result.messages);
  const seconds = Math.max(...results.map((result) => result.seconds));
  const perSecond = seconds > 0 ? messages / seconds : 0;
  const idle = cell.mode === "idle";
  const shares = results.map(({ loadCpuSeconds, loadWaitSeconds, seconds: own }) => ({
    used: own > 0 ? loadCpuSeconds / own : 0,
    waited: own > 0 ? loadWaitSeconds / own : 0,
  }));
  return {
    cell,
    ...counts,
    sessions: watch.sessions,
    messages,
    seconds,
    messagesPerSecond: perSecond,
    megabytesPerSecond: (perSecond * cell.size) / 1e6,
    sent: sum(({ sent }) => sent),
    roundTrip: histogram.totalCount === 0 ? null : percentiles(histogram),
    sentLate: lateness.totalCount === 0 ? null : percentiles(lateness),
    curve: curve(histogram),
    serverCpuMicros: perMessage(watch, watch.cpuSeconds),
    serverUserMicros: perMessage(watch, watch.cpuSeconds * watch.userShare),
    serverSystemMicros: perMessage(watch, watch.cpuSeconds * (1 - watch.userShare)),
    serverRssMb: watch.watched ? watch.rssMb : null,
    rssPerSession:
      idle && watch.watched ? (watch.anonymousBytes - memoryBefore) / Math.max(1, watch.sessions) : null,
    idleCpu: idle && watch.watched ? watch.cpuSeconds / (timing.durationMs / 1000) : null,
    loadCpu: Math.max(...shares.map(({ used }) => used)),
    serverCore: watch.serverCore,
    loadCore: shares.reduce((most, share) => (share.waited > most.waited ? share : most)),
    samples: watch.samples,
  };
}

/** Microseconds of the server for each message; null where it is elsewhere. */
function perMessage({ watched, messages }: Watch, seconds: number): number | null {
  return watched && messages > 0 ? (seconds / messages) * 1e6 : null;
}

function percentiles(histogram: Histogram): Percentiles {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile);
  return { p50: at(50), p90: at(90), p95: at(95), p99: at(99), p999: at(99.9), max: histogram.maxValue };
}

/** Denser towards the top, where the tail is: 0, 10, ... 90, 91, ... 99, 99.1, ... as far as the messages reach. */
function curve(histogram: Histogram): [number, number][] {
  const points: [number, number][] = [];
  for (let remaining = 100; remaining > 0.0005; remaining /= 10) {
    for (let tenth = 0; tenth < 9; tenth++) {
      const beyond = remaining - (tenth * remaining) / 10;
      if ((beyond / 100) * histogram.totalCount < 1) return points;
      points.push([100 - beyond, histogram.getValueAtPercentile(100 - beyond)]);
    }
  }
  return points;
}
