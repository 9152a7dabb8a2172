import { setThreadClock } from "../state/clock.ts";
import { bookMappings, type MappingLedger } from "../sys/memory.ts";
import type { BunLoop } from "./bun/loop.ts";
import type { LinuxLoopStart } from "./linux/loop.ts";
import type { BoundEndpoints, BunLoopStart } from "./loop.ts";
import type { SessionEvent } from "./session-log.ts";

/** Messages to the Worker that a loop lives in. None is sent per datagram or per TCP message. */
export type ToWorker =
  | { readonly type: "set_clock"; readonly nowMs: number; readonly ledger: MappingLedger }
  | { readonly type: "start_linux"; readonly start: LinuxLoopStart }
  | { readonly type: "start_bun"; readonly start: BunLoopStart }
  /** The loop's command has changed. A Linux loop is told by its eventfd instead: its thread reads no messages. */
  | { readonly type: "read_command" };

/** Messages from the Worker, each named for what has happened. */
export type FromWorker =
  /** The Worker has loaded and reads messages. */
  | { readonly type: "loaded" }
  | { readonly type: "started"; readonly bound: BoundEndpoints | null }
  /** The loop drains: nobody accepts on its listeners any more. */
  | { readonly type: "listeners_left" }
  | { readonly type: "stopped" }
  /** A fault ends this Worker; the sessions of its loop are closed. */
  | { readonly type: "failed"; readonly why: string }
  | { readonly type: "session_event"; readonly event: SessionEvent }
  /** A bug showed in one session, which was reset for it. */
  | { readonly type: "session_fault"; readonly why: string };

declare const self: Worker;

/** Time that a loop which has failed may take to end its sessions. */
const DEATH_MS = 100;

const send = (message: FromWorker): void => self.postMessage(message);
const sendSessionEvent = (event: SessionEvent): void => send({ type: "session_event", event });
const sendSessionFault = (fault: unknown): void => send({ type: "session_fault", why: reasonOf(fault) });
const reasonOf = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault));

let bunLoop: BunLoop | null = null;
let dying = false;

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  switch (data.type) {
    case "set_clock":
      bookMappings(data.ledger);
      return setThreadClock(data.nowMs);
    case "start_linux":
      return startLinux(data.start).catch(die);
    case "start_bun":
      return startBun(data.start).catch(die);
    case "read_command":
      return bunLoop?.readCommand();
  }
};

/** Blocks this thread until the loop is told to stop. From here on it reads no messages, only its eventfd. */
async function startLinux(start: LinuxLoopStart): Promise<void> {
  const { runLinuxLoop } = await import("./linux/loop.ts");
  runLinuxLoop(start, {
    onRunning: () => send({ type: "started", bound: null }),
    onListenersLeft: () => send({ type: "listeners_left" }),
    onSession: start.settings.logSessions ? sendSessionEvent : null,
    onFault: sendSessionFault,
  });
  send({ type: "stopped" });
}

async function startBun(start: BunLoopStart): Promise<void> {
  const { BunLoop } = await import("./bun/loop.ts");
  bunLoop = new BunLoop(start, {
    onListenersLeft: () => send({ type: "listeners_left" }),
    onSession: start.settings.logSessions ? sendSessionEvent : null,
    onFault: sendSessionFault,
    onStopped: () => send({ type: "stopped" }),
  });
  await bunLoop.listen();
  send({ type: "started", bound: bunLoop.bound });
  bunLoop.readCommand(); // it may have changed while the loop started
}

/** A fault, wherever it was thrown: the loop's sessions end, then this thread. */
async function die(fault: unknown): Promise<void> {
  if (dying) return;
  dying = true;
  const late = Bun.sleep(DEATH_MS).then(() => true);
  const isLate = await Promise.race([bunLoop?.die(), late]).catch(() => true);
  send({ type: "failed", why: reasonOf(fault) });
  // The control plane now books the sessions that are still open as ended; this thread must not book them again.
  if (isLate === true) process.exit(1);
  self.onmessage = null; // with nothing left to wait for, this thread ends by itself
}

process.on("uncaughtException", die);
process.on("unhandledRejection", die);
send({ type: "loaded" });
