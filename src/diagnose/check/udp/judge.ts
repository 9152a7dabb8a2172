import type { Note, Problem } from "../../result.ts";
import { answerNotes, answerProblems } from "./answers.ts";
import { localProblems } from "./local.ts";
import { lossNotes, lossProblems } from "./loss.ts";
import { newsProblems } from "./news.ts";
import { overrunProblems } from "./overrun.ts";
import type { UdpSeen } from "./seen.ts";
import { unmeasuredNotes } from "./unmeasured.ts";

/** All that is wrong with what was measured, the most telling first. Pure. */
export function problemsOf(seen: UdpSeen): Problem[] {
  return [
    ...localProblems(seen),
    ...newsProblems(seen),
    ...overrunProblems(seen),
    ...lossProblems(seen),
    ...answerProblems(seen),
  ];
}

/** What is worth knowing and not wrong, but for what banners tell. Pure. */
export function notesOf(seen: UdpSeen): Note[] {
  return [...lossNotes(seen), ...answerNotes(seen), ...unmeasuredNotes(seen)];
}
