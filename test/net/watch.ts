import type { Lab } from "./lab.ts";
import { endingTests } from "./watch/endings.ts";
import { nameTests } from "./watch/names.ts";
import { outageTests } from "./watch/outages.ts";
import { reasonTests } from "./watch/reasons.ts";
import { transcriptTests } from "./watch/transcripts.ts";

/** `watch` against real faults: what it says, when, and how long it was. */
export function watchTests(lab: () => Lab): void {
  outageTests(lab);
  reasonTests(lab);
  endingTests(lab);
  nameTests(lab);
  transcriptTests();
}
