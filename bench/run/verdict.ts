import { FAULTS, PATIENCE_MS } from "../generator/job.ts";
import { hasHeader } from "../generator/payload.ts";
import type { CellResult, CoreShare, Verdict } from "./types.ts";

/** Everything of a result that a verdict is made from. */
export type Measured = Omit<CellResult, keyof Verdict>;

/** What only some verdicts ask for. */
export interface Circumstances {
  /** Answers in the histogram with the least that they can have taken. */
  readonly untimed: number;
  /** Messages that were due, and that the load did not come to. */
  readonly behind: number;
  /** Datagrams that came when a socket of the load's was full. */
  readonly overflowed: number;
  /** What went wrong with a session first, in words. */
  readonly problem: string | null;
  /** Server and load have cores of their own, and the load no more Workers than cores. */
  readonly coresApart: boolean;
}

/** Messages that leave later than this, one in a hundred, are the load's own fault ... */
const SENT_LATE_MAX_US = 5000;
/** ... if that is also this share of the round trip that they are in. */
const SENT_LATE_SHARE = 1 / 3;

/** Above this share of its core a side is at work, and waits for itself at most. */
const CORE_USED = 0.85;
/** A side that used less, and waited so long for its core, had a neighbour. */
const CORE_WAITED = 1 / 3;

/** Above this share of its core, load measures itself. */
const LOAD_BOUND = 0.95;

/** Without numbers in the messages these cannot be told from each other, nor from corruption. */
const NEED_NUMBERS = ["lost", "duplicated", "reordered", "foreign", "late"] as const;

const NAMES: Readonly<Record<(typeof FAULTS)[number], string>> = {
  errors: "sessions failed",
  lost: "messages lost",
  duplicated: "messages came twice",
  reordered: "messages came behind a later one",
  corrupted: "messages came back changed",
  foreign: "messages came back to another session",
};

const count = (value: number): string => value.toLocaleString("en-US");
const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Was the echo exact, and could that be measured? What a slow load or a busy machine can cause is no fault of a server. */
export function judgeCell(measured: Measured, circumstances: Circumstances): Verdict {
  const limits = loadLimits(measured, circumstances);
  const lostByUs = measured.lost <= circumstances.overflowed || (measured.cell.rate > 0 && limits.length > 0);
  const faults = FAULTS.filter((name) => measured[name] > 0 && !(name === "lost" && lostByUs));
  const reasons: string[] = [];
  if (measured.messages === 0 && measured.cell.mode !== "idle") reasons.push("no message came back");
  const refused = measured.notSent - circumstances.behind;
  if (refused > 0)
    reasons.push(`${count(refused)} messages were not sent in time: ${taker(measured)} did not take them`);
  const said = faults.map((name) => `${count(measured[name])} ${NAMES[name]}`);
  if (measured.errors > 0 && circumstances.problem !== null) said.push(circumstances.problem);
  return {
    exact: faults.length > 0 ? false : limits.length + reasons.length > 0 ? null : true,
    reasons: [...limits, ...said, ...reasons],
    limits,
    notes: notes(measured, circumstances, limits.length > 0),
  };
}

const taker = ({ cell }: Measured): string => (cell.protocol === "tcp" ? "the server" : "the network");

/** Why the load, or the machine, and not the server, made the figures. */
function loadLimits(measured: Measured, { behind, overflowed, coresApart }: Circumstances): string[] {
  const { sentLate, roundTrip, loadCore, serverCore } = measured;
  const limits: string[] = [];
  const late = sentLate?.p99 ?? 0;
  const slow = late > SENT_LATE_MAX_US && late > (roundTrip?.p99 ?? 0) * SENT_LATE_SHARE;
  if (slow || behind > 0) {
    const left = behind > 0 ? `, and ${count(behind)} were not sent at all` : "";
    limits.push(
      `the load was the limit, not the server: 1 message in 100 was sent ${(late / 1000).toFixed(1)} ms or more after its time${left}`,
    );
  }
  const busy = (side: string, core: CoreShare | null): void => {
    if (core !== null && core.used < CORE_USED && core.waited > CORE_WAITED)
      limits.push(
        `the machine was busy: the ${side} used ${percent(core.used)} of its core and waited ${percent(core.waited)} of the time for it`,
      );
  };
  if (coresApart) {
    busy("server", serverCore);
    busy("load", loadCore);
  }
  if (overflowed > 0)
    limits.push(`the load did not read in time: ${count(overflowed)} answers found its sockets full`);
  return limits;
}

function notes(measured: Measured, { untimed }: Circumstances, limited: boolean): string[] {
  const { cell, late, loadCpu } = measured;
  const said: string[] = [];
  if (cell.rate === 0 && cell.mode !== "idle" && loadCpu > LOAD_BOUND)
    said.push("the load was the limit: believe the server's CPU, not msg/s (or use --workers)");
  if (late > 0 && !limited)
    said.push(`${count(late)} answers came later than ${PATIENCE_MS / 1000} s, and right`);
  if (untimed > 0)
    said.push(
      `${count(untimed)} answers came too late to be timed: the percentiles have the least they took`,
    );
  if (cell.mode !== "idle" && !hasHeader(cell.size))
    said.push(
      `messages of ${cell.size} B cannot be told apart: ${NEED_NUMBERS.join(", ")} mean nothing, corrupted means not as expected`,
    );
  return said;
}

/** Of a run: false if any cell is, else null if any cell is, else true. */
export function exactness(results: readonly Pick<Verdict, "exact">[]): boolean | null {
  if (results.some(({ exact }) => exact === false)) return false;
  return results.length === 0 || results.some(({ exact }) => exact === null) ? null : true;
}
