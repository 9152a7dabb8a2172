import { formatEndpoint } from "../../../net/endpoint.ts";
import { countText, flowText, plural } from "../../words.ts";
import type { Asked } from "../plan.ts";
import type { FlowSeen } from "./seen.ts";

/** Turns of phrase of TCP's verdicts. */

/** `all 10 sessions`, `3 of 10 sessions`; `the session` where there was one alone. */
export function shareText(count: number, total: number, noun: string): string {
  if (total === 1) return `the ${noun}`;
  return count === total ? `all ${plural(total, noun)}` : `${countText(count)} of ${plural(total, noun)}`;
}

/** `was` of one, `were` of several. */
export function were(count: number): string {
  return count === 1 ? "was" : "were";
}

/** `64`, `64 to 1,280`: from the least to the most. */
export function rangeText(numbers: readonly number[]): string {
  const least = Math.min(...numbers);
  const most = Math.max(...numbers);
  return least === most ? countText(least) : `${countText(least)} to ${countText(most)}`;
}

/** A session's two ends; null where this end is not known at all. */
export function flowOf(asked: Asked, { own }: FlowSeen): string | null {
  if (own === null) return null;
  const { endpoint } = asked;
  if (own.port !== 0) return flowText("tcp", own, endpoint);
  return `tcp ${formatEndpoint(own).slice(0, -":0".length)} > ${formatEndpoint(endpoint)}`;
}
