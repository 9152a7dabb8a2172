import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { Glob } from "bun";

/** Which file of the project imports which. Paths are relative to its root. */

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Import {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly target: string;
}

/** `import … from "…"` and `export … from "…"`, of types too; `import("…")`; `import "…"`. */
const SPECIFIER = /\bfrom\s+"([^"]+)"|\bimport\s*\(\s*"([^"]+)"|\bimport\s+"([^"]+)"/g;

/** The code in these folders. */
export function codeIn(folders: readonly string[]): string[] {
  const globs = folders.map((folder) => new Glob(`${folder}/**/*.{ts,js,cjs}`));
  return globs.flatMap((glob) => [...glob.scanSync({ cwd: ROOT })].sort());
}

/** What files import of the project; data (JSON) and packages are no code of it. */
export function importsOf(files: readonly string[]): Import[] {
  return files.flatMap((file) => importsIn(file, readFileSync(join(ROOT, file), "utf8")));
}

/** What a file with this text imports. */
export function importsIn(file: string, text: string): Import[] {
  return [...text.matchAll(SPECIFIER)].flatMap((match) => {
    const specifier = match[1] ?? match[2] ?? match[3]!;
    if (!specifier.startsWith(".") || specifier.endsWith(".json")) return [];
    const line = text.slice(0, match.index).split("\n").length;
    return [{ file, line, target: normalize(join(dirname(file), specifier)) }];
  });
}

/** Files that import each other in a circle, each circle as `a.ts > b.ts > a.ts`; one at least where there are any. */
export function circlesIn(imports: readonly Import[]): string[] {
  const targets = Map.groupBy(imports, ({ file }) => file);
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start !== -1) circles.push([...way.slice(start), file].join(" > "));
    if (start !== -1 || done.has(file)) return;
    for (const { target } of targets.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return circles;
}
