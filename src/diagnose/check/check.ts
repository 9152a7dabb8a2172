import { sleep } from "../../client/deadlines.ts";
import { familiesHere, type Resolution, resolveName } from "../resolve.ts";
import type { CheckReport, CheckResult } from "../result.ts";
import type { Family, Target } from "../targets.ts";
import { bySystemCallsOf, type Engine, runTask } from "../thread.ts";
import type { CheckSettings } from "./plan.ts";
import { type Row, rowsOf } from "./rows.ts";

/** What a person wants to know. */
export interface CheckQuestion {
  readonly targets: readonly Target[];
  /** The only IP version wanted; null for both. */
  readonly family: Family | null;
  /** Of one name. */
  readonly addressesMax: number;
  readonly settings: CheckSettings;
  /** Asks again until all is well, as long as no more time than this has passed since the start; 0: asks once. */
  readonly waitMs: number;
  readonly engine: Engine;
}

/** How far a check is. */
export interface Step {
  /** Of this attempt, 0 to 1. */
  readonly share: number;
  /** From 1. */
  readonly attempt: number;
  /** What the attempt before found. */
  readonly last: CheckReport | null;
}

/** From the end of an attempt to the next one's start: a rollout takes seconds. */
const PAUSE_MS = 1000;

/**
 * Resolves the names, asks each address, and with `waitMs` again until all is well. An attempt that has begun is brought
 * to its end, so it may take longer than `waitMs` by one.
 * @returns what was found last; null where the signal came before anything was
 */
export async function check(
  question: CheckQuestion,
  signal: AbortSignal,
  told: (step: Step) => void,
): Promise<CheckReport | null> {
  const startedAt = new Date().toISOString();
  const sinceMs = performance.now();
  let last: CheckReport | null = null;
  for (let attempt = 1; ; attempt++) {
    const results = await attemptOnce(question, signal, (share) => told({ share, attempt, last }));
    if (results === null) return last;
    const ok = results.every((result) => result.ok);
    const passedMs = performance.now() - sinceMs;
    last = { tool: "check", version: 1, ok, startedAt, seconds: passedMs / 1000, attempts: attempt, results };
    const leftMs = question.waitMs - passedMs;
    if (ok || leftMs <= 0) return last;
    await sleep(Math.min(PAUSE_MS, leftMs), signal);
  }
}

/** Null where the signal came before all was asked. */
async function attemptOnce(
  { targets, family, addressesMax, settings, engine }: CheckQuestion,
  signal: AbortSignal,
  progress: (share: number) => void,
): Promise<CheckResult[] | null> {
  if (signal.aborted) return null;
  progress(0);
  const resolutions = await resolveAll(targets, family, signal);
  if (signal.aborted) return null;
  const rows = rowsOf(targets, resolutions, { family, addressesMax, here: familiesHere() });
  const asked = rows.flatMap((row) => (row.kind === "asked" ? [row.asked] : []));
  const onEvent = ({ share }: { readonly share: number }): void => progress(share);
  const askAll = (): Promise<CheckResult[]> =>
    runTask("check", { asked, settings }, { signal, onEvent, bySystemCalls: bySystemCallsOf(engine) });
  // Where there is nobody to ask it does not matter what sockets are to be had.
  const results = asked.length === 0 ? [] : await askAll();
  return signal.aborted ? null : inOrder(rows, results);
}

/** One name after another: the system's resolver works on few at once, and who waits for it would seem slow. */
async function resolveAll(
  targets: readonly Target[],
  family: Family | null,
  signal: AbortSignal,
): Promise<Map<string, Resolution>> {
  const resolutions = new Map<string, Resolution>();
  for (const { host, address } of targets) {
    if (address !== null || resolutions.has(host)) continue;
    const resolution = await orAborted(resolveName(host, family), signal);
    if (resolution === null) break;
    resolutions.set(host, resolution);
  }
  return resolutions;
}

/** @param results of the rows that were asked, in their order */
function inOrder(rows: readonly Row[], results: readonly CheckResult[]): CheckResult[] {
  const left = results.values();
  return rows.map((row) => {
    if (row.kind === "known") return row.result;
    const result = left.next().value!; // there is one for each
    return { ...result, notes: [...result.notes, ...row.notes] };
  });
}

/** What the promise gives; null where the signal comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise: aborted, resolve } = Promise.withResolvers<null>();
  const abort = (): void => resolve(null);
  signal.addEventListener("abort", abort);
  try {
    return await (signal.aborted ? null : Promise.race([promise, aborted]));
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
