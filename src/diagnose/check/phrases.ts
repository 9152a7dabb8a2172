import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import { countText, flowText, listText, plural } from "../words.ts";
import type { Asked } from "./plan.ts";

/** Turns of phrase that more than one verdict has. */

/** So many of a list are named; of the others, how many there are. */
const NAMED_MAX = 4;

/** `a, b and c`; of a long list the first ones: `a, b, c, d and 7 more`. */
export function someText(items: readonly string[]): string {
  if (items.length <= NAMED_MAX) return listText(items);
  return `${items.slice(0, NAMED_MAX).join(", ")} and ${countText(items.length - NAMED_MAX)} more`;
}

/** `all 10 sessions`, `3 of 10 sessions`; `the session` where there was one alone. */
export function shareText(count: number, total: number, noun: string): string {
  if (total === 1) return `the ${noun}`;
  return count === total ? `all ${plural(total, noun)}` : `${countText(count)} of ${plural(total, noun)}`;
}

/** `was` of one, `were` of several. */
export function were(count: number): string {
  return count === 1 ? "was" : "were";
}

/** `; 3 more got no answer`, behind what was told of others; nothing where there are none. */
export function alsoSilentText(count: number): string {
  return count === 0 ? "" : `; ${countText(count)} more got no answer`;
}

/** `1,473 to 1,475`; `64` where both are the same. */
export function rangeText(from: number, to: number): string {
  return from === to ? countText(from) : `${countText(from)} to ${countText(to)}`;
}

/**
 * A flow's two ends, `udp 10.244.3.9:40112 > 10.96.0.7:5678`; null where there was no flow, or nothing of this end is
 * known. Where the system did not tell this end's port, which is 0 then, its address stands alone.
 */
export function flowOf(asked: Asked, flow: { readonly own: Endpoint | null } | undefined): string | null {
  const own = flow?.own ?? null;
  if (own === null) return null;
  const { protocol, endpoint } = asked;
  if (own.port !== 0) return flowText(protocol, own, endpoint);
  return `${protocol} ${formatEndpoint(own).slice(0, -":0".length)} > ${formatEndpoint(endpoint)}`;
}
