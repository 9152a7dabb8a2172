import { fileURLToPath } from "node:url";
import { FAULTS } from "../bench/generator/job.ts";
import type { CellResult } from "../bench/run/types.ts";

/** Runs the real `bun run bench`. */

const MAIN = fileURLToPath(new URL("../bench/main.ts", import.meta.url));

export const LINUX = process.platform === "linux";

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function startBench(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

export async function finish(child: ReturnType<typeof startBench>): Promise<Finished> {
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

export const bench = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Finished> =>
  finish(startBench(args, env));

/** What `--json` prints. */
export interface Printed {
  readonly exact: boolean | null;
  readonly reasons: readonly string[];
  readonly failed: readonly string[];
  readonly results: readonly CellResult[];
}

/** The JSON of a run, of which exit code and verdict must agree. */
export async function json(args: readonly string[]): Promise<Printed> {
  const { exitCode, stdout, stderr } = await bench([...args, "--json"]);
  if (!stdout.startsWith("{")) throw new Error(`exit ${exitCode}: ${stderr}`);
  const printed = JSON.parse(stdout) as Printed;
  const passed = printed.exact === true && printed.failed.length === 0;
  if (exitCode !== (passed ? 0 : 1) || stderr !== "")
    throw new Error(`exit ${exitCode}, exact ${printed.exact}, failed ${printed.failed}: ${stderr}`);
  return printed;
}

export const results = async (args: readonly string[]): Promise<readonly CellResult[]> =>
  (await json(args)).results;

/** The columns that say that something was not exact. */
export const faultsOf = (result: CellResult): Record<(typeof FAULTS)[number], number> =>
  Object.fromEntries(FAULTS.map((name) => [name, result[name]])) as Record<(typeof FAULTS)[number], number>;

export const NO_FAULTS = Object.fromEntries(FAULTS.map((name) => [name, 0])) as ReturnType<typeof faultsOf>;

/** Exact; or on a machine that is too busy to measure, and says so, at least not wrong. */
export function isExact({ exact, limits }: CellResult): boolean {
  return exact === true || (exact === null && limits.length > 0);
}
