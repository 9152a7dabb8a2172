import { fileURLToPath } from "node:url";
import { flagTable } from "../src/options/describe.ts";
import { SERVE_OPTIONS } from "../src/server/options.ts";

/** Writes the table of flags, made from the option table, between two marks of docs/flags.md. */

const START = "<!-- flags: made by scripts/flags-table.ts -->\n";
const END = "<!-- flags end -->";

export const FLAGS_PAGE = fileURLToPath(new URL("../docs/flags.md", import.meta.url));

/** The text with the table in its place. @throws when the marks are not there */
export function withFlagTable(page: string): string {
  const start = page.indexOf(START);
  const end = page.indexOf(END);
  if (start === -1 || end < start)
    throw new Error(`docs/flags.md lacks the lines ${START.trim()} and ${END}`);
  return page.slice(0, start + START.length) + flagTable(SERVE_OPTIONS) + page.slice(end);
}

if (import.meta.main) {
  const file = Bun.file(FLAGS_PAGE);
  await file.write(withFlagTable(await file.text()));
}
