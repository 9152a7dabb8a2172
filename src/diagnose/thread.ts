import { bunSockets } from "../client/bun/sockets.ts";
import { StartError } from "../errors.ts";
import { hasLibc } from "../sys/libc.ts";
import { makeLedger, unmapBooked } from "../sys/memory.ts";
import type { FromTaskWorker, ToTaskWorker } from "./task-worker.ts";
import { loadTask, type TaskEvent, type TaskInput, type TaskName, type TaskOutput } from "./tasks.ts";

/** Time that a task's thread may take to end by itself once its outcome is told. */
const LAST_MS = 1000;

/** More than a thread's sockets map: their memory is the thread's, not each one's. */
const MAPPINGS = 64;

/** How sockets are made: by Bun alone, by system calls of Linux, or by what works here. */
export type Engine = "auto" | "bun" | "linux";

/**
 * What an engine means for `runTask`.
 * @throws StartError where it is not to be had here
 */
export function bySystemCallsOf(engine: Engine): boolean {
  if (engine === "linux" && !hasLibc())
    throw new StartError("--engine linux: this machine's libc cannot be used; --engine bun works anywhere");
  return engine !== "bun";
}

export interface TaskOptions<Event> {
  /** Ends the task, which then gives what it has. */
  readonly signal: AbortSignal;
  /** Told what the task emits, in order, all of it before the outcome. */
  readonly onEvent: (event: Event) => void;
  /** False: by Bun's sockets even where system calls can be made. */
  readonly bySystemCalls: boolean;
}

/**
 * Runs a task: by system calls in a thread of its own, where libc is to be had and nobody forbids it; else by Bun's sockets
 * in this one.
 * @throws what the task throws, or why its thread died: a bug, and no fault of the network
 */
export async function runTask<Name extends TaskName>(
  name: Name,
  input: TaskInput<Name>,
  options: TaskOptions<TaskEvent<Name>>,
): Promise<TaskOutput<Name>> {
  const { signal, onEvent, bySystemCalls } = options;
  if (bySystemCalls && hasLibc()) {
    const emit = (event: unknown): void => onEvent(event as TaskEvent<Name>);
    return (await runInThread(name, input, signal, emit)) as TaskOutput<Name>;
  }
  const task = await loadTask(name);
  return task(input, { sockets: bunSockets(), signal, emit: onEvent });
}

function runInThread(
  name: TaskName,
  input: unknown,
  signal: AbortSignal,
  emit: (event: unknown) => void,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const ledger = makeLedger(MAPPINGS);
  const worker = new Worker(new URL("./task-worker.ts", import.meta.url).href);
  const send = (message: ToTaskWorker): void => worker.postMessage(message);
  const abort = (): void => send({ type: "abort" });
  let last: Timer | null = null;
  /** The outcome is known: the thread ends by itself, unless the task left something behind. */
  const over = (): void => {
    signal.removeEventListener("abort", abort);
    last ??= setTimeout(() => worker.terminate(), LAST_MS);
  };
  worker.onmessage = ({ data }: MessageEvent<FromTaskWorker>) => {
    if (data.type === "event") return emit(data.event);
    over();
    if (data.type === "done") resolve(data.output);
    else reject(new Error(data.why));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    over();
    reject(new Error(reasonIn(event.message)));
  };
  worker.addEventListener("close", () => {
    over();
    if (last !== null) clearTimeout(last);
    unmapBooked(ledger);
    reject(new Error("the thread ended without a word")); // heard only where nothing was told before
  });
  signal.addEventListener("abort", abort);
  send({ type: "start", name, input, ledger });
  if (signal.aborted) abort();
  return promise;
}

/** Bun puts the lines of code around a fault before its message. */
function reasonIn(text: string): string {
  return /^(?:error|\w*Error): (.*)$/m.exec(text)?.[1] ?? text.split("\n", 1)[0]!;
}
