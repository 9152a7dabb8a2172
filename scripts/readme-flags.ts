import { fileURLToPath } from "node:url";
import { flagTable } from "../src/options/describe.ts";
import { SERVE_OPTIONS } from "../src/server/options.ts";

/** Writes the table of flags, made from the option table, between two marks of README.md. */

const START = "<!-- flags: made by scripts/readme-flags.ts -->\n";
const END = "<!-- flags end -->";

export const README = fileURLToPath(new URL("../README.md", import.meta.url));

/** The text with the table in its place. @throws when the marks are not there */
export function withFlagTable(readme: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end < start) throw new Error(`README.md lacks the lines ${START.trim()} and ${END}`);
  return readme.slice(0, start + START.length) + flagTable(SERVE_OPTIONS) + readme.slice(end);
}

if (import.meta.main) {
  const file = Bun.file(README);
  await file.write(withFlagTable(await file.text()));
}
