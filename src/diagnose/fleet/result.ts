import type { ProblemCode, Where } from "../result.ts";
import type { Cell } from "./cell.ts";

/** What `fleet --json` prints. */

/** What failing cells have in common, once. */
export interface FleetProblem {
  /** The verdict that most of its cells have. */
  readonly code: ProblemCode;
  readonly says: string;
  readonly likely: string;
  readonly where: Where;
  /** Of one of its cells, and so are its two ends. */
  readonly flow: string | null;
  readonly next: string | null;
  /** Indices of the cells, rising. */
  readonly cells: readonly number[];
}

export interface FleetReport {
  readonly tool: "fleet";
  readonly version: 1;
  /** Whether something was measured, and all of that is well. */
  readonly ok: boolean;
  /** RFC 3339, UTC, with milliseconds. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly namespace: string;
  /** IP version of all that was asked. */
  readonly family: 4 | 6;
  readonly cells: readonly Cell[];
  /** The widest first. */
  readonly problems: readonly FleetProblem[];
  /** What a person may want to know beside. */
  readonly notes: readonly string[];
}
