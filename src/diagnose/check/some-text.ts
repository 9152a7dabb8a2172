import { countText, listText } from "../words.ts";

/** So many of a list are named; of the others, how many there are. */
const NAMED_MAX = 4;

/** `a, b and c`; of a long list the first ones: `a, b, c, d and 7 more`. */
export function someText(items: readonly string[]): string {
  if (items.length <= NAMED_MAX) return listText(items);
  return `${items.slice(0, NAMED_MAX).join(", ")} and ${countText(items.length - NAMED_MAX)} more`;
}
