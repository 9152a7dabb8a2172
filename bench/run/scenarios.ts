import { lookup } from "node:dns/promises";
import { parseAddress } from "../../src/net/address.ts";
import { hostPort } from "../generator/reason.ts";
import type { HostPort } from "../kinds.ts";
import type { BenchOptions } from "../options.ts";
import { Progress } from "../print/progress.ts";
import { describeCell } from "../print/table.ts";
import { SCALE, SCENARIOS } from "../scenarios.ts";
import { runCell } from "./cell.ts";
import { type StartedServer, startOurServer } from "./server.ts";
import type { Cell, CellResult, Target, Timing } from "./types.ts";

/** Cells that run at the same time; mostly one. */
export type Step = readonly Cell[];

/** The steps of the scenarios asked for, with the sizes asked for in place of their own. */
export function stepsOf(options: BenchOptions): Step[] {
  const steps: Step[] = [];
  for (const name of options.scenarios) {
    const scenario = name === "scale" ? SCALE : SCENARIOS[name]!;
    const cells = dedupe(scenario.cells.map((cell) => adapt(cell, options)));
    if (scenario.together) steps.push(cells);
    else steps.push(...cells.map((cell) => [cell]));
  }
  return steps;
}

function adapt(cell: Cell, { connections, size, rate }: BenchOptions): Cell {
  return {
    ...cell,
    connections: connections ?? cell.connections,
    size: size ?? cell.size,
    rate: cell.mode === "idle" ? 0 : (rate ?? 0),
  };
}

/** Cells that differed only in what the options replaced are one now. */
function dedupe(cells: readonly Cell[]): Cell[] {
  return [...new Map(cells.map((cell) => [JSON.stringify(cell), cell])).values()];
}

/** Flags for our own server. */
export function serverFlags({ engine, serverWorkers }: BenchOptions): string[] {
  return [
    ...(engine === null ? [] : ["--engine", engine]),
    ...(serverWorkers === null ? [] : ["--workers", String(serverWorkers)]),
  ];
}

/** Sessions that say nothing are not measured by messages, but for so long. */
const IDLE_MS = 2000;

/** How a cell is measured. */
export function timingOf(options: BenchOptions, { mode }: Cell): Timing {
  const { warmupMs, durationMs, requests, workers } = options;
  if (mode !== "idle" || requests === 0) return { warmupMs, durationMs, requests, workers };
  return { warmupMs, durationMs: Math.min(IDLE_MS, durationMs), requests: 0, workers };
}

/** Runs all steps, one after the other, each on a server of its own (or all on `--target`). */
export async function runScenarios(options: BenchOptions, abort: AbortSignal): Promise<CellResult[]> {
  const steps = stepsOf(options);
  const progress = new Progress(steps.length);
  const results: CellResult[] = [];
  try {
    for (const step of steps) {
      if (abort.aborted) break;
      await using server: StartedServer = await serverFor(options);
      const what = `${step[0]!.scenario}: ${step.map(describeCell).join(" + ")}`;
      const onProgress = (share: number, perSecond: number): void => progress.show(what, share, perSecond);
      const runs = step.map((cell) =>
        runCell(cell, server.target, timingOf(options, cell), abort, onProgress),
      );
      results.push(...sharing(await Promise.all(runs)));
      progress.next();
    }
  } finally {
    progress.stop();
  }
  return results;
}

/** Cells that ran at the same time share the server's CPU: each gets its cost over the messages of all. */
function sharing(results: readonly CellResult[]): CellResult[] {
  const all = results.reduce((sum, { messages }) => sum + messages, 0);
  const shared = (micros: number | null, { messages }: CellResult): number | null =>
    micros === null ? null : (micros * messages) / all;
  return results.map((result) => ({
    ...result,
    serverCpuMicros: shared(result.serverCpuMicros, result),
    serverUserMicros: shared(result.serverUserMicros, result),
    serverSystemMicros: shared(result.serverSystemMicros, result),
  }));
}

async function serverFor(options: BenchOptions): Promise<StartedServer> {
  const { target, source } = options;
  if (target === null) return startOurServer(serverFlags(options), undefined, source);
  return { target: await elsewhere(target, source), async [Symbol.asyncDispose]() {} };
}

/** A server that is not ours to watch. Throws if its name is not known. */
async function elsewhere(
  { tcp, udp }: NonNullable<BenchOptions["target"]>,
  source: string | null,
): Promise<Target> {
  const [at] = [tcp, udp].filter((one) => one !== null);
  const names = [...new Set([tcp, udp].map((one) => one?.host).filter((host) => host !== undefined))];
  const addresses = new Map(
    await Promise.all(names.map(async (name) => [name, await addressOf(name)] as const)),
  );
  return {
    name: hostPort(at!.host, at!.port),
    tcp: resolved(tcp, addresses),
    udp: resolved(udp, addresses),
    pid: null,
    source,
  };
}

function resolved(at: HostPort | null, addresses: ReadonlyMap<string, string>): HostPort | null {
  return at === null ? null : { host: addresses.get(at.host)!, port: at.port };
}

async function addressOf(host: string): Promise<string> {
  if (parseAddress(host) !== null) return host;
  try {
    return (await lookup(host)).address;
  } catch {
    throw new Error(`no address is known for ${host}`);
  }
}
