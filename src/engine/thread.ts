import { Clock } from "../state/clock.ts";
import { hasLibc } from "../sys/libc.ts";
import { type MappingLedger, makeLedger, unmapBooked } from "../sys/memory.ts";
import { workerCanStart } from "./descriptors.ts";
import type { SessionEvent } from "./session-log.ts";
import type { LoopEvents } from "./supervisor.ts";
import type { FromWorker, ToWorker } from "./worker.ts";

/** Time that a thread whose loop has failed may take to end by itself. */
const LAST_MS = 1000;

/** Arguments that a loop's thread is started with. */
export interface ThreadStart {
  readonly order: Extract<ToWorker, { readonly start: unknown }>;
  /** The most mappings that its loop makes. */
  readonly mappings: number;
  readonly events: LoopEvents;
  readonly onMessage: (message: FromWorker) => void;
  readonly onSession: ((event: SessionEvent) => void) | null;
}

/** A Worker with one loop in it. What the loop has mapped is unmapped when the thread has ended, however it ended. */
export class LoopThread {
  readonly #worker: Worker;
  readonly #ledger: MappingLedger;
  /** The thread has ended, or was told to. Messages that still come from it are ignored. */
  #over = false;

  /** @throws where no thread can be started: no descriptors, threads or memory are left */
  constructor({ order, mappings, events, onMessage, onSession }: ThreadStart) {
    if (!workerCanStart()) throw new Error("too few descriptors are left");
    this.#ledger = makeLedger(mappings);
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    let last: Timer | null = null;
    const died = (why: string): void => {
      if (this.#over) return;
      this.#over = true;
      // The thread ends by itself. To end it from here the runtime starts a thread; where it cannot, the process ends.
      last = setTimeout(() => this.end(), LAST_MS);
      events.onDeath(why);
    };
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (this.#over) return;
      if (data.type === "loaded") this.#begin(order);
      else if (data.type === "listeners_left") events.onListenersLeft();
      else if (data.type === "stopped") events.onStopped();
      else if (data.type === "session_event") onSession?.(data.event);
      else if (data.type === "session_fault") events.onSessionFault(data.why);
      else if (data.type === "failed") died(data.why);
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
      died("it ended without a word"); // a Worker that an error ends sends this event and no other
      if (last !== null) clearTimeout(last);
    });
  }

  /** The Worker has loaded. The time is sent only now: sent earlier, it would be late when it is read. */
  #begin(order: ThreadStart["order"]): void {
    this.send({ type: "set_clock", nowMs: new Clock().nowMs, ledger: this.#ledger });
    this.send(order);
  }

  send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Ends the thread, whose loop has stopped. */
  end(): void {
    this.#over = true;
    this.#worker.terminate();
  }
}
