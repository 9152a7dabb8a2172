import type { Sockets } from "../client/sockets.ts";

/** What a task works with. */
export interface TaskContext<Event> {
  readonly sockets: Sockets;
  /** Aborted when nobody wants the outcome any more: the task then ends soon, with what it has. */
  readonly signal: AbortSignal;
  /** Tells the one who started the task. */
  emit(event: Event): void;
}

/**
 * Work that is all network and no terminal. It runs in a thread of its own where sockets are made by system calls, and
 * then input, events and output go by message: they are plain data, without functions and without classes. There its
 * waiting is done by `Wake` and by `sleep` of `src/client/deadlines.ts`; other timers may be 50 ms late, since the loop
 * does not know of them.
 */
export type Task<Input, Event, Output> = (input: Input, context: TaskContext<Event>) => Promise<Output>;
