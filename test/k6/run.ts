import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Runs the scripts of `bench/` under the k6 that `./build` makes. */

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

export const SCRIPTS = ["tcp.js", "tcp-soak.js", "tcp-churn.js"] as const;
export type Script = (typeof SCRIPTS)[number];

/** k6's exit codes: thresholds crossed; an exception outside of an iteration. */
export const THRESHOLDS_CROSSED = 99;
export const SCRIPT_EXCEPTION = 107;

/** What `-e JSON=path` writes, as far as it is read here. */
export interface Report {
  readonly script: string;
  readonly passed: boolean;
  readonly durationMs: number;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly thresholds: readonly {
    readonly metric: string;
    readonly condition: string;
    readonly ok: boolean;
  }[];
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface K6Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Null when k6 did not come as far as a report. */
  readonly report: Report | null;
}

/** The k6 to test with; the first time builds it. @throws with what `./build` says */
export async function findK6(): Promise<string> {
  const child = Bun.spawn([join(PROJECT, "test/k6/build")], { stdout: "pipe", stderr: "inherit" });
  const [path, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`test/k6/build: exit ${code}`);
  return path.trim();
}

/**
 * @param settings each becomes a `-e NAME=value`
 * @param flags more of `k6 run`'s own
 */
export async function runK6(
  k6: string,
  script: Script,
  settings: Readonly<Record<string, string | number>>,
  flags: readonly string[] = [],
): Promise<K6Result> {
  const folder = await mkdtemp("/tmp/echo-k6-");
  try {
    const json = join(folder, "report.json");
    const named = Object.entries({ JSON: json, ...settings }).flatMap(([name, value]) => [
      "-e",
      `${name}=${value}`,
    ]);
    const child = Bun.spawn(
      [k6, "run", "--quiet", "--log-format", "raw", ...flags, ...named, join(PROJECT, "bench", script)],
      {
        cwd: folder,
        // Nothing of the caller's that could be a setting, and no report to k6's makers.
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], K6_NO_USAGE_REPORT: "true" },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const file = Bun.file(json);
    return { exitCode, stdout, stderr, report: (await file.exists()) ? await file.json() : null };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The thresholds that were not held, as `metric condition`. */
export function crossed({ report, stderr }: K6Result): readonly string[] {
  if (report === null) throw new Error(`no report: ${stderr}`);
  return report.thresholds.filter(({ ok }) => !ok).map(({ metric, condition }) => `${metric} ${condition}`);
}

/** A value of the report. @throws when there is no such metric, so that a misspelt name cannot pass as 0 */
export function value({ report, stderr }: K6Result, metric: string, key: string): number {
  const found = report?.metrics[metric]?.[key];
  if (found === undefined) throw new Error(`no ${key} of ${metric}: ${stderr}`);
  return found;
}

/** Faults by reason, of those that happened. */
export function faults(result: K6Result): Readonly<Record<string, number>> {
  const byReason: Record<string, number> = {};
  for (const metric of Object.keys(result.report?.metrics ?? {})) {
    const reason = /^echo_faults\{reason:(\w+)\}$/.exec(metric)?.[1];
    if (reason !== undefined && value(result, metric, "count") > 0)
      byReason[reason] = value(result, metric, "count");
  }
  return byReason;
}
