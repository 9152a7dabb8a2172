import { Presets, SingleBar } from "cli-progress";

/** A progress bar on stderr; silent where that is no terminal. */
export class Progress {
  readonly #bar: SingleBar | null;
  readonly #total: number;
  #done = 0;

  /** @param total steps, of like length */
  constructor(total: number) {
    this.#total = total;
    this.#bar = process.stderr.isTTY
      ? new SingleBar(
          { format: "{bar} {percentage} %  {what}", stream: process.stderr, clearOnComplete: true },
          Presets.rect,
        )
      : null;
    this.#bar?.start(total, 0, { what: "" });
  }

  /** The step under way, and how far it is (0 to 1). */
  show(what: string, share: number): void {
    this.#bar?.update(Math.min(this.#total, this.#done + share), { what });
  }

  next(): void {
    this.#done++;
    this.#bar?.update(this.#done);
  }

  stop(): void {
    this.#bar?.stop();
  }
}
