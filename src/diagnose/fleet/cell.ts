import type { CheckResult, ProblemCode, Protocol } from "../result.ts";

/** How a member is reached: by its Pod's address, by its own name, by the Service, by a node's port, or itself by a Service of its own. */
export type Way = "pod" | "name" | "service" | "nodeport" | "self";

/** One question of the matrix: can `from` have an echo of `to`, that way, by that protocol? */
export interface Cell {
  /** A member's name, or `outside`. */
  readonly from: string;
  /** Null outside. */
  readonly fromNode: string | null;
  /** A member's name; of a Service its name, of a node's port the node's. */
  readonly to: string;
  /** Null of a Service, which may choose any. */
  readonly toNode: string | null;
  readonly way: Way;
  readonly protocol: Protocol;
  /** Null where it could not be tried, or is not meant to work: `why` says which. */
  readonly ok: boolean | null;
  readonly why: string | null;
  /** The NetworkPolicy of the fleet's own namespace that forbids it; null where none does. */
  readonly policy: string | null;
  readonly result: CheckResult | null;
}

/** Whether its NetworkPolicy can be held to: many plugins let a Pod reach itself, whatever is forbidden. */
export function isHeldTo({ way }: Cell): boolean {
  return way !== "self";
}

/** How bad it is: no echo at all, none that is large, or not every one. */
export type Kind = "nothing" | "large" | "some";

const LARGE: readonly ProblemCode[] = ["mtu_black_hole", "fragments_lost", "size_hole"];

/** How a cell fails; null where it does not, or is not known. */
export function kindOf({ ok, result }: Cell): Kind | null {
  if (ok !== false) return null;
  if (result === null || result.flowsAnswered === 0) return "nothing";
  return result.problems.every(({ code }) => LARGE.includes(code)) ? "large" : "some";
}
