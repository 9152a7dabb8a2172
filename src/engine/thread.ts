import type { FromWorker, ToWorker } from "./worker.ts";

/** What happens in a loop's Worker, told to whoever started it. */
export interface ThreadEvents {
  readonly onMessage: (message: FromWorker) => void;
  /** It died of a fault. */
  readonly onDeath: (why: string) => void;
}

/** A Worker with one loop in it. */
export class LoopThread {
  readonly #worker: Worker;
  #over = false;

  constructor(start: ToWorker, events: ThreadEvents) {
    let why = "it ended without a word";
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => events.onMessage(event.data);
    const died = (): void => {
      if (this.#over) return;
      this.#over = true;
      this.#worker.terminate();
      events.onDeath(why);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      why = event.message.split("\n", 1)[0]!;
      died();
    };
    this.#worker.addEventListener("close", died);
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
