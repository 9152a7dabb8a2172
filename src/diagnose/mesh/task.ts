import type { Task } from "../task.ts";
import { Prober } from "./prober.ts";
import type { MeshEvent, MeshQuestion } from "./seen.ts";

/** Asks this member's peers until it is aborted, and tells what comes of it. */
export const meshTask: Task<MeshQuestion, MeshEvent, null> = async (question, { sockets, signal, emit }) => {
  await new Prober(question, { sockets, emit }).run(signal);
  return null;
};
