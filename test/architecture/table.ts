/** A place of the project: what a row of the table in docs/architecture.md is about. */
export interface Place {
  /** `src/net/` or `src/cli.ts`: folders end with a slash. */
  readonly paths: readonly string[];
  /** Places that it may import, by name: `net`, `cli`, `bench/dev`. */
  readonly allowed: readonly string[];
}

const HEADER = /^\| place \| holds \| may import \(besides ([^)]+)\) \|$/;

/**
 * The table that begins with `| place | holds | may import (besides …) |`: places of code, and the names that every place
 * may import. A place without code (its last cell is empty) is not among them.
 * @throws where there is no such table
 */
export function readTable(markdown: string): { places: Place[]; besides: string[] } {
  const lines = markdown.split("\n");
  const head = lines.findIndex((line) => HEADER.test(line));
  if (head === -1) throw new Error("no table of places");
  const end = lines.findIndex((line, at) => at > head && !line.startsWith("|"));
  const places = lines.slice(head + 2, end).flatMap((line) => {
    const [, place, , allowed] = line.split("|").map((cell) => cell.trim());
    if (allowed === "") return [];
    return [
      { paths: namesIn(place!.replaceAll("`", "")), allowed: allowed === "nothing" ? [] : namesIn(allowed!) },
    ];
  });
  return { places, besides: namesIn(HEADER.exec(lines[head]!)![1]!) };
}

/** The place that a file belongs to: of two that hold it (`bench/`, `bench/dev/`) the narrower one. */
export function placeOf(file: string, places: readonly Place[]): Place | null {
  const held = ({ paths }: Place): number =>
    Math.max(0, ...paths.filter((path) => holds(path, file)).map((path) => path.length));
  const [best] = places.toSorted((a, b) => held(b) - held(a));
  return best !== undefined && held(best) > 0 ? best : null;
}

/** What a place is called in the last column: each of its paths, without `src/` and what follows a name. */
export function namesOf({ paths }: Place): string[] {
  return paths.map((path) => path.replace(/^src\//, "").replace(/\/$|\.ts$/, ""));
}

function holds(path: string, file: string): boolean {
  return path.endsWith("/") ? file.startsWith(path) : file === path;
}

function namesIn(text: string): string[] {
  return text.split(/, | and /).map((name) => name.trim());
}
