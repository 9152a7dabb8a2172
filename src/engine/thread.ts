import { Clock } from "../state/clock.ts";
import { hasLibc } from "../sys/libc.ts";
import { type MappingLedger, makeLedger, unmapBooked } from "../sys/memory.ts";
import { workerCanStart } from "./descriptors.ts";
import type { SessionEvent } from "./session-log.ts";
import type { LoopEvents } from "./supervisor.ts";
import type { FromWorker, ToWorker } from "./worker.ts";

/** How long a thread whose loop has failed may take to end by itself. */
const LAST_MS = 1000;

/** What a loop in a thread is started with, and who hears of it. */
export interface ThreadStart {
  readonly order: Extract<ToWorker, { readonly start: unknown }>;
  /** Mappings that its loop makes at most. */
  readonly mappings: number;
  readonly events: LoopEvents;
  readonly onMessage: (message: FromWorker) => void;
  readonly onSession: ((event: SessionEvent) => void) | null;
}

/** A Worker with one loop in it. What the loop has mapped is unmapped when the thread has ended, however it ended. */
export class LoopThread {
  readonly #worker: Worker;
  readonly #ledger: MappingLedger;
  /** It has ended, or was told to: what it still says is nobody's business. */
  #over = false;

  /** @throws where no thread can be started: for want of descriptors, threads or memory */
  constructor({ order, mappings, events, onMessage, onSession }: ThreadStart) {
    if (!workerCanStart()) throw new Error("too few descriptors are left");
    this.#ledger = makeLedger(mappings);
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    let last: Timer | null = null;
    const died = (why: string): void => {
      if (this.#over) return;
      this.#over = true;
      // It ends by itself: to end it from here, the runtime starts a thread, and where it cannot it ends the process.
      last = setTimeout(() => this.end(), LAST_MS);
      events.onDeath(why);
    };
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (this.#over) return;
      if (data.did === "load") this.#begin(order);
      else if (data.did === "leave-listeners") events.onListenersLeft();
      else if (data.did === "stop") events.onStopped();
      else if (data.did === "tell-session") onSession?.(data.event);
      else if (data.did === "fault-session") events.onSessionFault(data.why);
      else if (data.did === "fail") died(data.why);
      else onMessage(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      // Bun puts the lines of code around the fault first.
      const message = /^(?:error|\w*Error): (.*)$/m.exec(event.message)?.[1];
      died(message ?? event.message.split("\n", 1)[0]!);
    };
    this.#worker.addEventListener("close", () => {
      if (hasLibc()) unmapBooked(this.#ledger);
      died("it ended without a word"); // a Worker that an error ends says nothing but this
      if (last !== null) clearTimeout(last);
    });
  }

  /** The Worker has loaded: only now it can be told what time it is without a delay. */
  #begin(order: ThreadStart["order"]): void {
    this.tell({ do: "begin", nowMs: new Clock().nowMs, ledger: this.#ledger });
    this.tell(order);
  }

  tell(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Ends the thread, whose loop has stopped. */
  end(): void {
    this.#over = true;
    this.#worker.terminate();
  }
}
