import { Presets, SingleBar } from "cli-progress";

/** A progress bar on stderr, with the time that is left and what the load makes now; silent where that is no terminal. */
export class Progress {
  readonly #bar: SingleBar | null;
  readonly #total: number;
  readonly #sinceMs = performance.now();
  #done = 0;

  /** @param total steps, of like length */
  constructor(total: number) {
    this.#total = total;
    this.#bar = process.stderr.isTTY
      ? new SingleBar(
          {
            format: "{bar} {percentage} %  {left} left  {rate} msg/s  {what}",
            stream: process.stderr,
            barsize: 20,
            clearOnComplete: true,
          },
          Presets.rect,
        )
      : null;
    this.#bar?.start(total, 0, { what: "", left: "?", rate: "-" });
  }

  /** The step under way, how far it is (0 to 1), and its messages a second. */
  show(what: string, share: number, perSecond: number): void {
    const done = Math.min(this.#total, this.#done + share);
    const rate = perSecond > 0 ? Math.round(perSecond).toLocaleString("en-US") : "-";
    this.#bar?.update(done, { what, left: this.#left(done), rate });
  }

  next(): void {
    this.#done++;
    this.#bar?.update(this.#done);
  }

  stop(): void {
    this.#bar?.stop();
  }

  /** By what has passed: steps are of like length. */
  #left(done: number): string {
    if (done < 0.2) return "?";
    const seconds = ((performance.now() - this.#sinceMs) / 1000 / done) * (this.#total - done);
    return seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  }
}
