import { setThreadClock } from "../state/clock.ts";
import { bookMappings, type MappingLedger } from "../sys/memory.ts";
import type { BunLoop } from "./bun/loop.ts";
import type { LinuxLoopStart } from "./linux/loop.ts";
import type { BoundEndpoints, BunLoopStart } from "./loop.ts";
import type { SessionEvent } from "./session-log.ts";

/** The Worker that a loop lives in. What it is told and what it tells; nothing of it is per message. */
export type ToWorker =
  | { readonly do: "begin"; readonly nowMs: number; readonly ledger: MappingLedger }
  | { readonly do: "start-linux"; readonly start: LinuxLoopStart }
  | { readonly do: "start-bun"; readonly start: BunLoopStart }
  /** The loop's command has changed. A Linux loop hears its eventfd only. */
  | { readonly do: "obey" };

export type FromWorker =
  /** It has loaded and can be told what to do. */
  | { readonly did: "load" }
  | { readonly did: "start"; readonly bound: BoundEndpoints | null }
  /** It drains: nobody accepts on its listeners any more. */
  | { readonly did: "leave-listeners" }
  | { readonly did: "stop" }
  /** A fault ends this Worker; the sessions of its loop are closed. */
  | { readonly did: "fail"; readonly why: string }
  | { readonly did: "tell-session"; readonly event: SessionEvent }
  /** A bug showed in one session, which was reset for it. */
  | { readonly did: "fault-session"; readonly why: string };

declare const self: Worker;

/** How long a loop that has failed may take to end its sessions. */
const DEATH_MS = 100;

const tell = (message: FromWorker): void => self.postMessage(message);
const tellSession = (event: SessionEvent): void => tell({ did: "tell-session", event });
const tellFault = (fault: unknown): void => tell({ did: "fault-session", why: reasonOf(fault) });
const reasonOf = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault));

let bunLoop: BunLoop | null = null;
let dying = false;

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  switch (data.do) {
    case "begin":
      bookMappings(data.ledger);
      return setThreadClock(data.nowMs);
    case "start-linux":
      return startLinux(data.start).catch(die);
    case "start-bun":
      return startBun(data.start).catch(die);
    case "obey":
      return bunLoop?.obey();
  }
};

/** Blocks this thread until the loop is told to stop: from here on it hears its eventfd only. */
async function startLinux(start: LinuxLoopStart): Promise<void> {
  const { runLinuxLoop } = await import("./linux/loop.ts");
  runLinuxLoop(start, {
    onRunning: () => tell({ did: "start", bound: null }),
    onListenersLeft: () => tell({ did: "leave-listeners" }),
    onSession: start.settings.logSessions ? tellSession : null,
    onFault: tellFault,
  });
  tell({ did: "stop" });
}

async function startBun(start: BunLoopStart): Promise<void> {
  const { BunLoop } = await import("./bun/loop.ts");
  bunLoop = new BunLoop(start, {
    onListenersLeft: () => tell({ did: "leave-listeners" }),
    onSession: start.settings.logSessions ? tellSession : null,
    onFault: tellFault,
    onStopped: () => tell({ did: "stop" }),
  });
  await bunLoop.listen();
  tell({ did: "start", bound: bunLoop.bound });
  bunLoop.obey(); // what was said while it started
}

/** A fault, wherever it was thrown: the loop's sessions end, then this thread. */
async function die(fault: unknown): Promise<void> {
  if (dying) return;
  dying = true;
  const late = Bun.sleep(DEATH_MS).then(() => true);
  const isLate = await Promise.race([bunLoop?.die(), late]).catch(() => true);
  tell({ did: "fail", why: reasonOf(fault) });
  // What is not closed by now is booked by whoever started this thread, and must not be booked again.
  if (isLate === true) process.exit(1);
  self.onmessage = null; // with nothing left to wait for, this thread ends by itself
}

process.on("uncaughtException", die);
process.on("unhandledRejection", die);
tell({ did: "load" });
