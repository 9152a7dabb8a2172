import type { LoopStart, SessionEnd } from "./loop.ts";
import type { LinuxLoopStart } from "./linux/loop.ts";
import type { BoundAddresses, Loop } from "./loop.ts";

/** The Worker that a loop lives in. What it is told and what it tells; nothing of it is per message. */
export type ToWorker =
  | { readonly do: "start-linux"; readonly start: LinuxLoopStart }
  | { readonly do: "start-bun"; readonly start: LoopStart }
  | { readonly do: "drain" | "cut" | "stop" | "fail" };

export type FromWorker =
  | { readonly did: "start"; readonly bound: BoundAddresses | null }
  | { readonly did: "not-start"; readonly why: string }
  | { readonly did: "stop" }
  | { readonly did: "end-session"; readonly end: SessionEnd };

declare const self: Worker;

const tell = (message: FromWorker): void => self.postMessage(message);
const tellEnd = (end: SessionEnd): void => tell({ did: "end-session", end });

let loop: Loop | null = null;

self.onmessage = async (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.do) {
    case "start-linux": {
      // Blocks this thread until the loop is told to stop: from here on it hears its eventfd only.
      const { runLinuxLoop } = await import("./linux/loop.ts");
      const onEnd = message.start.settings.logSessions ? tellEnd : null;
      runLinuxLoop(message.start, () => tell({ did: "start", bound: null }), onEnd);
      tell({ did: "stop" });
      break;
    }
    case "start-bun": {
      const { startBunLoop } = await import("./bun/loop.ts");
      try {
        loop = await startBunLoop(message.start, message.start.settings.logSessions ? tellEnd : null);
        tell({ did: "start", bound: loop.bound });
      } catch (error) {
        tell({ did: "not-start", why: error instanceof Error ? error.message : String(error) });
      }
      break;
    }
    case "drain":
      loop?.drain();
      break;
    case "cut":
      loop?.cut();
      break;
    case "stop":
      await loop?.stop();
      tell({ did: "stop" });
      break;
    case "fail":
      throw new Error("fault injected");
  }
};
