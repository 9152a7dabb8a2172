import type { Task } from "./task.ts";

/** The tasks by name, each loaded when it is asked for. */
const TASKS = {
  check: async () => (await import("./check/task.ts")).checkTask,
  watch: async () => (await import("./watch/task.ts")).watchTask,
  mesh: async () => (await import("./mesh/task.ts")).meshTask,
} as const;

export type TaskName = keyof typeof TASKS;
type TaskOf<Name extends TaskName> = Awaited<ReturnType<(typeof TASKS)[Name]>>;
export type TaskInput<Name extends TaskName> = Parameters<TaskOf<Name>>[0];
export type TaskEvent<Name extends TaskName> = Parameters<Parameters<TaskOf<Name>>[1]["emit"]>[0];
export type TaskOutput<Name extends TaskName> = Awaited<ReturnType<TaskOf<Name>>>;

/** The task of that name. */
export async function loadTask<Name extends TaskName>(
  name: Name,
): Promise<Task<TaskInput<Name>, TaskEvent<Name>, TaskOutput<Name>>> {
  const load: () => Promise<unknown> = TASKS[name];
  return (await load()) as Task<TaskInput<Name>, TaskEvent<Name>, TaskOutput<Name>>;
}
