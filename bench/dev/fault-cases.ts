import { fileURLToPath } from "node:url";
import type { Counts } from "../generator/job.ts";
import type { CellResult, Percentiles } from "../run/types.ts";
import type { Fault } from "./culprit.ts";
import { type FaultyEcho, faultyTcp, faultyUdp } from "./faulty-echo.ts";

/** Faults made on purpose, and what the bench says of each: the table of docs/bench.md, and a test. */

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

export interface FaultCase {
  /** In words. */
  readonly fault: string;
  readonly protocol: "tcp" | "udp";
  readonly make: Fault;
  readonly args: readonly string[];
  /** The columns that must not be 0, with the faults that were made; all others must be. */
  readonly seen: (made: number, result: CellResult) => Partial<Counts>;
  /** What is said, if the machine has nothing to say. */
  readonly exact: boolean | null;
  /** Round trips that the table shows. */
  readonly times?: readonly (keyof Percentiles)[];
}

const SHORT = ["-d", "500ms", "-c", "4"];
const both = (row: Omit<FaultCase, "protocol">): FaultCase[] => [
  { ...row, protocol: "tcp" },
  { ...row, protocol: "udp" },
];

export const CASES: readonly FaultCase[] = [
  ...both({ fault: "none", make: "none", args: SHORT, seen: () => ({}), exact: true }),
  ...both({
    fault: "messages dropped",
    make: "drop",
    args: SHORT,
    seen: (made) => ({ lost: made }),
    exact: false,
  }),
  ...both({
    fault: "messages sent twice",
    make: "duplicate",
    args: SHORT,
    seen: (made) => ({ duplicated: made }),
    exact: false,
  }),
  ...both({
    fault: "messages sent behind the next one",
    make: "reorder",
    args: SHORT,
    seen: (made) => ({ reordered: made }),
    exact: false,
  }),
  ...both({
    fault: "one bit of a message changed",
    make: "corrupt",
    args: SHORT,
    seen: (made) => ({ corrupted: made }),
    exact: false,
  }),
  ...both({
    fault: "messages sent to another session",
    make: "foreign",
    args: SHORT,
    seen: (made) => ({ foreign: made }),
    exact: false,
  }),
  {
    fault: "messages without their last ten bytes",
    protocol: "tcp",
    make: "cut short",
    args: SHORT,
    seen: (made) => ({ corrupted: made }),
    exact: false,
  },
  ...both({
    fault: "300 messages dropped in a row, one session",
    make: "burst",
    args: ["-d", "1s", "-c", "1", "-R", "2k"],
    seen: (made) => ({ lost: made }),
    exact: false,
  }),
  {
    fault: "an outage of 1 s, 50 sockets",
    protocol: "udp",
    make: "outage",
    args: ["-d", "2s", "-c", "50", "-R", "5k"],
    seen: (made) => ({ lost: made }),
    exact: false,
  },
  ...both({
    fault: "every answer 2.5 s late",
    make: "slow",
    args: ["-d", "3s", "-c", "4", "-R", "200"],
    seen: (made) => ({ late: made }),
    exact: true,
  }),
  {
    fault: "every session closed",
    protocol: "tcp",
    make: "close",
    args: SHORT,
    seen: (made, { lost, notSent }) => ({ errors: made, lost, notSent }),
    exact: false,
  },
  ...both({
    fault: "the server goes away",
    make: "gone",
    args: SHORT,
    seen: (_, { errors, lost, notSent }) => ({ errors, lost, notSent }),
    exact: false,
  }),
  {
    fault: "the server stops reading",
    protocol: "tcp",
    make: "deaf",
    args: ["-d", "1s", "-c", "4", "--size", "64KiB", "-R", "2k"],
    seen: (_, { notSent, lost }) => ({ notSent, lost }),
    exact: false,
  },
  ...both({
    fault: "none, and a rate beyond what the load can send",
    make: "none",
    args: ["-d", "1s", "-c", "50", "-R", "2M"],
    seen: (_, { lost, late, notSent }) => ({ lost, late, notSent }),
    exact: null,
  }),
];

/** Long ones, whose percentiles theory knows: of a stall of 1 s in every 4 s, a quarter of all messages waits. */
export const STALLS: readonly FaultCase[] = both({
  fault: "a stall of 1 s of every 4 s, 8,000/s on one session",
  make: "stall",
  args: ["-d", "8s", "-c", "1", "-R", "8k"],
  seen: () => ({}),
  exact: true,
  times: ["p90", "p95", "p99", "max"],
});

export interface Outcome {
  readonly made: number;
  readonly exitCode: number;
  readonly result: CellResult;
}

const sizeOf = (args: readonly string[]): number => (args.includes("64KiB") ? 65_536 : 64);

/** Runs the bench against a server with the fault. Throws where it printed no result. */
export async function runCase({ protocol, make, args }: FaultCase): Promise<Outcome> {
  const size = sizeOf(args);
  using server: FaultyEcho = protocol === "tcp" ? faultyTcp(make, size) : await faultyUdp(make, size);
  const scenario = protocol === "tcp" ? "tcp-pipeline" : "udp-window";
  const command = ["--target", `127.0.0.1:${server.port}`, "--scenario", scenario, "--size", "64", ...args];
  const child = Bun.spawn([process.execPath, MAIN, ...command, "--json"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exitCode = await child.exited;
  if (!stdout.startsWith("{")) throw new Error(`no result: ${stderr}`);
  const [result] = (JSON.parse(stdout) as { results: CellResult[] }).results;
  return { made: server.faults, exitCode, result: result! };
}

const COLUMNS: readonly (keyof Counts)[] = [
  "errors",
  "lost",
  "duplicated",
  "reordered",
  "corrupted",
  "foreign",
  "late",
  "notSent",
];

/** The columns of a result, without those at 0. */
export function columnsOf(counts: Partial<Counts>): Partial<Counts> {
  return Object.fromEntries(
    COLUMNS.filter((name) => (counts[name] ?? 0) > 0).map((name) => [name, counts[name]!]),
  );
}
