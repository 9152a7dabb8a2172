import type { Note, Problem } from "../../result.ts";
import { answerNotes, answerProblems } from "./answers.ts";
import { localProblems } from "./local.ts";
import { lossNotes, lossProblems } from "./loss.ts";
import { newsProblems } from "./news.ts";
import type { UdpSeen } from "./seen.ts";
import { unmeasuredNotes } from "./unmeasured.ts";

/** What is wrong, and what is worth knowing beside who answered, of what was measured: the most telling first. */
export function judgeUdp(seen: UdpSeen): { readonly problems: Problem[]; readonly notes: Note[] } {
  return {
    problems: [...localProblems(seen), ...newsProblems(seen), ...lossProblems(seen), ...answerProblems(seen)],
    notes: [...lossNotes(seen), ...answerNotes(seen), ...unmeasuredNotes(seen)],
  };
}
