/**
 * Whether a change made the server dearer: two builds of it side by side, in pairs (A B A B ...), each on a fresh
 * process pinned to the first core, load on the others. Prints server CPU per message of both, that outside the
 * kernel by itself, and the median of the pairs' ratios, which is what travels to another machine.
 *
 *     bun run build && bun bench/dev/pairs.ts REFERENCE dist/echo-server [--engine bun] [--pairs 7] [--seconds 2] [--cell udp]
 */
import { parseArgs } from "node:util";
import { describeCell } from "../print/table.ts";
import { runCell } from "../run/cell.ts";
import { leaveServerCore } from "../run/cores.ts";
import { startOurServer } from "../run/server.ts";
import type { Cell, Timing } from "../run/types.ts";
import { SCENARIOS } from "../scenarios.ts";

const WARMUP_MS = 1500; // until the JIT has compiled what runs often

const CELLS: readonly Cell[] = [
  SCENARIOS["tcp-ping"]!.cells[0]!,
  SCENARIOS["tcp-ping"]!.cells[1]!,
  ...SCENARIOS["tcp-pipeline"]!.cells,
  SCENARIOS["tcp-bulk"]!.cells[0]!,
  ...SCENARIOS["tcp-churn"]!.cells,
  ...SCENARIOS["udp-window"]!.cells,
];

/** Server CPU in microseconds per message, and what of it is user time. */
interface Cost {
  readonly cpu: number;
  readonly user: number;
}

/** What a message costs one fresh process. Throws where an answer was not exact. */
async function measure(program: string, flags: readonly string[], cell: Cell, timing: Timing): Promise<Cost> {
  await using server = await startOurServer(flags, [program]);
  const result = await runCell(cell, server.target, timing, new AbortController().signal, () => {});
  if (result.exact === false)
    throw new Error(`${program}: ${describeCell(cell)}: ${result.reasons.join("; ")}`);
  return { cpu: result.serverCpuMicros!, user: result.serverUserMicros! };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function compareCell(
  programs: readonly [string, string],
  flags: string[],
  cell: Cell,
  timing: Timing,
  pairs: number,
): Promise<void> {
  const before: Cost[] = [];
  const after: Cost[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    before.push(await measure(programs[0], flags, cell, timing));
    after.push(await measure(programs[1], flags, cell, timing));
    const said = [before.at(-1)!, after.at(-1)!].map(
      ({ cpu, user }) => `${cpu.toFixed(3)} (${user.toFixed(3)})`,
    );
    process.stderr.write(`${describeCell(cell)}: ${said.join(" ")}\n`);
  }
  for (const part of ["cpu", "user"] as const) {
    const [from, to] = [before, after].map((costs) => costs.map((cost) => cost[part])) as [
      number[],
      number[],
    ];
    const ratios = to.map((micros, at) => micros / from[at]!);
    const range = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`;
    console.log(
      `${cell.scenario} ${describeCell(cell)}, ${part}: ${median(from).toFixed(3)} us, ` +
        `${median(to).toFixed(3)} us, ratio ${median(ratios).toFixed(3)} (${range})`,
    );
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "linux" },
    pairs: { type: "string", default: "7" },
    seconds: { type: "string", default: "2" },
    cell: { type: "string", default: "" },
  },
});
const [reference, candidate] = positionals;
if (reference === undefined || candidate === undefined) {
  process.stderr.write("two programs are wanted: bun bench/dev/pairs.ts REFERENCE CANDIDATE\n");
  process.exit(2);
}
leaveServerCore();
const timing: Timing = {
  warmupMs: WARMUP_MS,
  durationMs: Number(values.seconds) * 1000,
  requests: 0,
  workers: 1,
};
for (const cell of CELLS) {
  if (!`${cell.scenario} ${describeCell(cell)}`.includes(values.cell)) continue;
  await compareCell([reference, candidate], ["--engine", values.engine], cell, timing, Number(values.pairs));
}
process.exit(0);
