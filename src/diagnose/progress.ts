import type { SingleBar } from "cli-progress";

/** Who waits for less than this needs no bar. */
const SHOWN_AFTER_MS = 2000;

/** How far something is: a bar on stderr, from the third second on. Where that is no terminal nothing is shown or loaded. */
export class Progress {
  readonly #sinceMs = performance.now();
  #bar: SingleBar | null = null;
  #share = 0;
  #what = "";
  #stopped = false;
  readonly #timer: Timer | null;

  /** @param onTerminal whether stderr is one */
  constructor(onTerminal: boolean, shownAfterMs = SHOWN_AFTER_MS) {
    this.#timer = onTerminal ? setTimeout(() => void this.#open(), shownAfterMs) : null;
  }

  /** @param share 0 to 1. @param what is going on, in a few words; may be empty */
  show(share: number, what: string): void {
    this.#share = share;
    this.#what = what;
    this.#bar?.update(share, this.#words());
  }

  /** Takes the bar away; again, it does nothing. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#bar?.stop();
    this.#bar = null;
    this.#stopped = true;
  }

  async #open(): Promise<void> {
    const { Presets, SingleBar } = await import("cli-progress");
    if (this.#stopped) return;
    const format = "{bar} {percentage} %  {seconds} s  {what}";
    // It must not act on signals: they are the process's own.
    const options = {
      format,
      stream: process.stderr,
      barsize: 20,
      clearOnComplete: true,
      gracefulExit: false,
    };
    this.#bar = new SingleBar(options, Presets.rect);
    this.#bar.start(1, this.#share, this.#words());
  }

  /** What the bar's format names. */
  #words(): { seconds: number; what: string } {
    return { seconds: Math.floor((performance.now() - this.#sinceMs) / 1000), what: this.#what };
  }
}
