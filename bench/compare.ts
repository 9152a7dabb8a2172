import { FAULTS } from "./generator/job.ts";
import type { BenchOptions } from "./options.ts";
import { FLOOR, PEERS, type Peer, peerFromCommand, type ServeCommand } from "./peers.ts";
import {
  type ComparedCell,
  type Comparison,
  exactnessOf,
  type Figures,
  noFigures,
  renderComparison,
} from "./print/comparison.ts";
import { Progress } from "./print/progress.ts";
import { describeCell } from "./print/table.ts";
import { type OnProgress, runCell } from "./run/cell.ts";
import { startPeer } from "./run/peer-server.ts";
import { serverFlags, stepsOf, timingOf } from "./run/scenarios.ts";
import { type StartedServer, startOurServer } from "./run/server.ts";
import type { Cell, CellResult, Timing } from "./run/types.ts";

const OURS = "echo-server";

/** Servers that fork are not asked for more connections than this. */
const FORKS_MAX = 100;

/** Who is measured: ours (no command) or a peer. */
interface Contender {
  readonly name: string;
  readonly peer: Peer | null;
  readonly command: ServeCommand | null;
}

/**
 * Our server beside others, interleaved: every repetition measures each cell on every server, one after the other,
 * each on a fresh process, pinned alike. So what drifts on the machine drifts for all.
 * @returns whether ours was exact in every cell; null: not all of it could be measured
 */
export async function compare(options: BenchOptions, abort: AbortSignal): Promise<boolean | null> {
  const peers = [...PEERS, ...options.peers.map(peerFromCommand)];
  const absent: { name: string; why: string }[] = [];
  const contenders: Contender[] = [{ name: OURS, peer: null, command: null }];
  for (const peer of peers) {
    try {
      contenders.push({ name: peer.name, peer, command: await peer.prepare() });
    } catch (error) {
      absent.push({ name: peer.name, why: error instanceof Error ? error.message : String(error) });
    }
  }
  const cells = stepsOf(options).flatMap((step) => (step.length === 1 ? step : []));
  const measured = await measureAll(cells, contenders, options, abort);
  const comparison: Comparison = {
    ours: OURS,
    floor: FLOOR,
    cells: measured,
    absent,
    repetitions: options.repetitions,
  };
  const exact = exactnessOf(comparison, OURS);
  const plain = { exact, ...comparison, cells: measured.map(plainCell) };
  console.log(options.json ? JSON.stringify(plain, null, 2) : renderComparison(comparison));
  if (options.results) {
    const { writeComparison } = await import("./print/results.ts");
    await writeComparison(comparison, options);
  }
  return exact;
}

/** JSON knows no Map. */
function plainCell({ cell, figures, notes }: ComparedCell) {
  return { cell, figures: Object.fromEntries(figures), notes: Object.fromEntries(notes) };
}

async function measureAll(
  cells: readonly Cell[],
  contenders: readonly Contender[],
  options: BenchOptions,
  abort: AbortSignal,
): Promise<ComparedCell[]> {
  const compared = cells.map((cell) => ({
    cell,
    figures: new Map<string, Figures>(),
    notes: new Map<string, string>(),
  }));
  const progress = new Progress(options.repetitions * cells.length * contenders.length);
  try {
    for (let repetition = 0; repetition < options.repetitions; repetition++) {
      for (const { cell, figures, notes } of compared) {
        for (const contender of contenders) {
          if (abort.aborted) return compared;
          const onProgress = (share: number, perSecond: number): void =>
            progress.show(`${contender.name}: ${describeCell(cell)}`, share, perSecond);
          const outcome = await measure(cell, contender, options, abort, onProgress);
          if (typeof outcome === "string") notes.set(contender.name, outcome);
          else if (!abort.aborted) note(figures, contender.name, outcome);
          progress.next();
        }
      }
    }
    return compared;
  } finally {
    progress.stop();
  }
}

/** One server, one cell, once; or why not. */
async function measure(
  cell: Cell,
  { name, peer, command }: Contender,
  options: BenchOptions,
  abort: AbortSignal,
  onProgress: OnProgress,
): Promise<CellResult | string> {
  if (peer !== null && !peer.protocols.includes(cell.protocol)) return `no ${cell.protocol}`;
  if (peer?.forks && cell.connections > FORKS_MAX) return "a process per connection";
  const timing: Timing = {
    ...timingOf(options, cell),
    warmupMs: Math.max(options.warmupMs, peer?.warmupMs ?? 0),
  };
  try {
    await using server: StartedServer =
      command === null
        ? await startOurServer(serverFlags(options))
        : await startPeer(name, command, cell.protocol);
    return await runCell(cell, server.target, timing, abort, onProgress);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function note(figures: Map<string, Figures>, name: string, result: CellResult): void {
  const known = figures.get(name) ?? noFigures();
  known.cpuMicros.push(result.serverCpuMicros ?? Number.NaN);
  known.messagesPerSecond.push(result.messagesPerSecond);
  known.p99Micros.push(result.roundTrip?.p99 ?? Number.NaN);
  known.inexact += FAULTS.reduce((sum, fault) => sum + result[fault], 0);
  known.late += result.late;
  known.verdicts.push(result.exact);
  if (result.exact !== true) known.reasons.push(...result.reasons);
  figures.set(name, known);
}
