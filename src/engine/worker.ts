import type { LinuxLoopStart } from "./linux/loop.ts";
import type { BoundAddresses, Loop, LoopStart, SessionEnd } from "./loop.ts";

/** The Worker that a loop lives in. What it is told and what it tells; nothing of it is per message. */
export type ToWorker =
  | { readonly do: "start-linux"; readonly start: LinuxLoopStart }
  | { readonly do: "start-bun"; readonly start: LoopStart }
  | { readonly do: "drain" | "cut" | "stop" | "fail" };

export type FromWorker =
  | { readonly did: "start"; readonly bound: BoundAddresses | null }
  | { readonly did: "not-start"; readonly why: string }
  /** It drains: nobody accepts on its listeners any more. */
  | { readonly did: "leave-listeners" }
  | { readonly did: "stop" }
  /** A fault ends this Worker; the sessions of its loop are closed. */
  | { readonly did: "fail"; readonly why: string }
  | { readonly did: "end-session"; readonly end: SessionEnd };

declare const self: Worker;

const tell = (message: FromWorker): void => self.postMessage(message);
const tellEnd = (end: SessionEnd): void => tell({ did: "end-session", end });
const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

let bunLoop: Loop | null = null;

self.onmessage = async (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.do) {
    case "start-linux":
      return startLinux(message.start);
    case "start-bun":
      return startBun(message.start);
    case "drain":
      return bunLoop?.drain();
    case "cut":
      return bunLoop?.cut();
    case "stop":
      await bunLoop?.stop();
      return tell({ did: "stop" });
    case "fail":
      throw new Error("fault injected"); // as a bug would, it ends this Worker
  }
};

/** Blocks this thread until the loop is told to stop: from here on it hears its eventfd only. */
async function startLinux(start: LinuxLoopStart): Promise<void> {
  const { runLinuxLoop } = await import("./linux/loop.ts");
  try {
    runLinuxLoop(start, {
      onRunning: () => tell({ did: "start", bound: null }),
      onListenersLeft: () => tell({ did: "leave-listeners" }),
      onSessionEnd: start.settings.logSessions ? tellEnd : null,
    });
    tell({ did: "stop" });
  } catch (fault) {
    tell({ did: "fail", why: describe(fault) });
  }
}

async function startBun(start: LoopStart): Promise<void> {
  const { startBunLoop } = await import("./bun/loop.ts");
  try {
    bunLoop = await startBunLoop(start, start.settings.logSessions ? tellEnd : null);
    tell({ did: "start", bound: bunLoop.bound });
  } catch (error) {
    tell({ did: "not-start", why: describe(error) });
  }
}
