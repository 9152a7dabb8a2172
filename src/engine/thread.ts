import type { FromWorker, ToWorker } from "./worker.ts";

/** Time until a dead loop is replaced. */
export const RESTART_DELAY_MS = 100;

/** What happens in a loop's Worker, told to whoever started it. */
export interface ThreadEvents {
  readonly onMessage: (message: FromWorker) => void;
  /** It died of a fault. */
  readonly onDeath: (why: string) => void;
}

/** A Worker with one loop in it. */
export class LoopThread {
  readonly #worker: Worker;
  /** It has ended, or was told to: what it still says is nobody's business. */
  #over = false;

  constructor(start: ToWorker, events: ThreadEvents) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const died = (why: string): void => {
      if (this.#over) return;
      this.end();
      events.onDeath(why);
    };
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.did === "fail") died(data.why);
      else events.onMessage(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      // Bun puts the lines of code around the fault first.
      const message = /^(?:error|\w*Error): (.*)$/m.exec(event.message)?.[1];
      died(message ?? event.message.split("\n", 1)[0]!);
    };
    // A Worker that an error ends without a word says nothing but this.
    this.#worker.addEventListener("close", () => died("it ended without a word"));
    this.tell(start);
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
