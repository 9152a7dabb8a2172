import type { LoadJob, LoadResult } from "./job.ts";
import { fillBlock } from "./payload.ts";
import { runTcpChurn } from "./tcp-churn.ts";
import { runTcpEcho } from "./tcp-echo.ts";
import { runUdpEcho } from "./udp-echo.ts";

/** The Worker that makes load: one job, one blocking loop, one answer. */

declare const self: Worker;

export type FromLoadWorker = { readonly result: LoadResult } | { readonly fault: string };

self.onmessage = ({ data: job }: MessageEvent<LoadJob>) => {
  try {
    fillBlock(job.seed);
    const run = job.protocol === "udp" ? runUdpEcho : job.mode === "churn" ? runTcpChurn : runTcpEcho;
    self.postMessage({ result: run(job) } satisfies FromLoadWorker);
  } catch (error) {
    self.postMessage({
      fault: error instanceof Error ? error.message : String(error),
    } satisfies FromLoadWorker);
  }
};
