import { countText } from "../words.ts";
import type { StatusRow } from "./status.ts";

/** Where lines go; they never wait for their reader. */
export interface Output {
  write(text: string): void;
  /** Bytes that wait for the reader. */
  readonly waitingBytes: number;
}

/** Columns and rows of a terminal. */
export type Size = readonly [columns: number, rows: number];

/** Rows that the log keeps, however many flows there are. */
const LOG_ROWS = 4;

/** ECMA-48: the cursor to the start of the line n above, and away with all below it. */
const CLEAR_BELOW = "\x1b[J";
const up = (lines: number): string => (lines === 0 ? "" : `\x1b[${lines}F`);

const FLOW_WIDTH = "udp-connected".length;

/**
 * A log, and below it how each flow is now, redrawn in place. Where it is no terminal there is the log alone.
 */
export class Screen {
  readonly #output: Output;
  /** Of the terminal now; null where it is none. */
  readonly #size: () => Size | null;
  #drawn = 0;
  #rows: readonly StatusRow[] = [];

  constructor(output: Output, size: () => Size | null) {
    this.#output = output;
    this.#size = size;
  }

  /** Adds to the log. @param text lines, without the last line feed */
  log(text: string): void {
    this.#output.write(`${this.#erased()}${text}\n${this.#drawnRows()}`);
  }

  /** How each flow is now. */
  status(rows: readonly StatusRow[]): void {
    this.#rows = rows;
    // A terminal that was stopped gets the newest when it goes on, and not all since.
    if (this.#size() === null || this.#output.waitingBytes > 0) return;
    this.#output.write(`${this.#erased()}${this.#drawnRows()}`);
  }

  /** Takes the status away: what follows is the log's end. */
  clear(): void {
    this.#rows = [];
    if (this.#drawn > 0) this.#output.write(this.#erased());
  }

  #erased(): string {
    const text = this.#drawn === 0 ? "" : `${up(this.#drawn)}${CLEAR_BELOW}`;
    this.#drawn = 0;
    return text;
  }

  #drawnRows(): string {
    const size = this.#size();
    if (size === null || this.#rows.length === 0) return "";
    const [columns, height] = size;
    const several = new Set(this.#rows.map(({ target }) => target)).size > 1;
    const texts = fitting(this.#rows, Math.max(1, height - LOG_ROWS)).map((row) =>
      typeof row === "string" ? row : rowText(row, several),
    );
    this.#drawn = texts.length;
    return texts.map((text) => `${fit(text, columns - 1)}\n`).join("");
  }
}

/** As many as there is room for, those first that are not well; what is beyond that in a word. */
function fitting(rows: readonly StatusRow[], room: number): (StatusRow | string)[] {
  if (rows.length <= room) return [...rows];
  const sorted = [...rows.filter(({ isWell }) => !isWell), ...rows.filter(({ isWell }) => isWell)];
  const shown = sorted.slice(0, room - 1);
  return [...shown, `  and ${countText(rows.length - shown.length)} other flows`];
}

function rowText({ target, flow, isWell, says }: StatusRow, several: boolean): string {
  return `${isWell ? "  " : "! "}${several ? `${target}  ` : ""}${flow.padEnd(FLOW_WIDTH)}  ${says}`;
}

/** What fits on one line: a line that wraps could not be redrawn in its place. */
function fit(text: string, columns: number): string {
  let fitting = text;
  while (Bun.stringWidth(fitting) > columns && fitting !== "") fitting = fitting.slice(0, -1);
  return fitting;
}
