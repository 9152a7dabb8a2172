import type { Note, Problem } from "../../result.ts";
import { answerProblems } from "./answers.ts";
import { connectProblems } from "./connects.ts";
import { pathNotes, pathProblems } from "./path.ts";
import type { TcpSeen } from "./seen.ts";
import { sessionProblems } from "./sessions.ts";
import { unmeasuredNotes } from "./unmeasured.ts";

/** All that is wrong with what was seen, one problem for each cause, from the first packet to the last. Pure. */
export function problemsOf(seen: TcpSeen): Problem[] {
  return [...connectProblems(seen), ...sessionProblems(seen), ...answerProblems(seen), ...pathProblems(seen)];
}

/** What is worth knowing and not wrong, but for what banners tell. Pure. */
export function notesOf(seen: TcpSeen): Note[] {
  return [...pathNotes(seen), ...unmeasuredNotes(seen)];
}
