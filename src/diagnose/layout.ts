/** Lines for a person: wrapped, aligned, and coloured where somebody wants that. */

/** No line is longer: a terminal beside an editor. */
export const WIDTH = 100;

/** What a line is, for its colour alone: the words say it too. */
export type Tone = "plain" | "good" | "bad" | "note" | "faint";

export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

/** SGR parameters (ECMA-48, 8.3.117). */
const COLOURS: Readonly<Record<Tone, string>> = {
  plain: "",
  good: "1;32",
  bad: "1;31",
  note: "33",
  faint: "2",
};

/** The lines as one text, in colours or without. */
export function textOf(lines: readonly Line[], colours: boolean): string {
  const painted = lines.map(({ text, tone }) => {
    const colour = colours ? COLOURS[tone] : "";
    return colour === "" || text === "" ? text : `\x1b[${colour}m${text}\x1b[0m`;
  });
  return `${painted.join("\n")}\n`;
}

/**
 * A text over as many lines as it takes. Words that are longer than a line are cut, so that none is too long.
 * @param head what the first line begins with; at most half of a line
 * @param indent what the others begin with
 * @param end what a line ends with that is not the last: ` \` keeps a command one command
 */
export function wrap(text: string, head = "", indent = " ".repeat(head.length), end = ""): string[] {
  const room = WIDTH - end.length;
  const words = plain(text)
    .split(" ")
    .flatMap((word) => cut(word, room - Math.max(head.length, indent.length)));
  const lines: string[] = [];
  let line = head;
  let empty = true;
  for (const word of words) {
    if (!empty && line.length + 1 + word.length > room) {
      lines.push(line + end);
      line = indent;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line.trimEnd()];
}

/** Rows of cells in columns: the first flush left, the others right. */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const space = " ".repeat(widths[column]! - cell.length);
        return column === 0 ? cell + space : space + cell;
      })
      .join("  ")
      .trimEnd(),
  );
}

/**
 * On one line, of characters that take one column each. What came over the network may hold others: what moves a cursor
 * or turns the direction of writing, and what is as wide as each terminal thinks. Names of hosts and Pods have none.
 */
function plain(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[^ -~]/gu, "?")
    .trim();
}

function cut(word: string, room: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < word.length; at += room) pieces.push(word.slice(at, at + room));
  return pieces;
}
