import { closeLinuxSockets, linuxSockets } from "../client/linux/sockets.ts";
import { bookMappings, type MappingLedger } from "../sys/memory.ts";
import type { Task } from "./task.ts";
import { loadTask, type TaskName } from "./tasks.ts";

/** Messages to the Worker that a task runs in. */
export type ToTaskWorker =
  | {
      readonly type: "start";
      readonly name: TaskName;
      readonly input: unknown;
      readonly ledger: MappingLedger;
    }
  | { readonly type: "abort" };

/** Messages from it. After `done` or `failed` it ends. */
export type FromTaskWorker =
  | { readonly type: "event"; readonly event: unknown }
  | { readonly type: "done"; readonly output: unknown }
  | { readonly type: "failed"; readonly why: string };

declare const self: Worker;

const abort = new AbortController();
const send = (message: FromTaskWorker): void => self.postMessage(message);
let isOver = false;

self.onmessage = ({ data }: MessageEvent<ToTaskWorker>) => {
  if (data.type === "abort") return abort.abort();
  bookMappings(data.ledger);
  run(data.name, data.input).then((output) => end({ type: "done", output }), fail);
};

async function run(name: TaskName, input: unknown): Promise<unknown> {
  const sockets = linuxSockets();
  if (sockets === null) throw new Error("libc cannot be loaded in this thread");
  const task = (await loadTask(name)) as Task<unknown, unknown, unknown>;
  const emit = (event: unknown): void => send({ type: "event", event });
  return task(input, { sockets, signal: abort.signal, emit });
}

function fail(fault: unknown): void {
  end({ type: "failed", why: fault instanceof Error ? fault.message : String(fault) });
}

/** Tells the outcome and lets go of all that keeps this thread alive. Descriptors are the process's: none may stay open. */
function end(outcome: FromTaskWorker): void {
  if (isOver) return;
  isOver = true;
  closeLinuxSockets();
  send(outcome);
  self.onmessage = null;
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
