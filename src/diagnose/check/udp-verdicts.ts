import type { Note, Problem } from "../result.ts";
import { answerNotes, answerProblems } from "./udp-answers.ts";
import { localProblems } from "./udp-local.ts";
import { lossNotes, lossProblems } from "./udp-loss.ts";
import { newsProblems } from "./udp-news.ts";
import type { UdpSeen } from "./udp-seen.ts";
import { unmeasuredNotes } from "./udp-unmeasured.ts";

/** What is wrong, and what is worth knowing beside who answered, of what was measured: the most telling first. */
export function judgeUdp(seen: UdpSeen): { readonly problems: Problem[]; readonly notes: Note[] } {
  return {
    problems: [...localProblems(seen), ...newsProblems(seen), ...lossProblems(seen), ...answerProblems(seen)],
    notes: [...lossNotes(seen), ...answerNotes(seen), ...unmeasuredNotes(seen)],
  };
}
