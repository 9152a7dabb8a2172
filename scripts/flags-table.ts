import { fileURLToPath } from "node:url";
import { CHECK_OPTIONS } from "../src/commands/check.ts";
import { FLEET_OPTIONS } from "../src/commands/fleet.ts";
import { MESH_OPTIONS } from "../src/commands/mesh.ts";
import { WATCH_OPTIONS } from "../src/commands/watch.ts";
import { flagTable } from "../src/options/describe.ts";
import type { Table } from "../src/options/table.ts";
import { SERVE_OPTIONS } from "../src/server/options.ts";

/** Writes the table of each command's flags, made from its option table, between two marks of docs/flags.md. */

/** Commands with flags of their own, by name. */
const TABLES: Readonly<Record<string, Table>> = {
  serve: SERVE_OPTIONS,
  check: CHECK_OPTIONS,
  watch: WATCH_OPTIONS,
  fleet: FLEET_OPTIONS,
  mesh: MESH_OPTIONS,
};

export const FLAGS_PAGE = fileURLToPath(new URL("../docs/flags.md", import.meta.url));

/** The text with the tables in their places. @throws when a mark is not there */
export function withFlagTables(page: string): string {
  return Object.entries(TABLES).reduce(
    (text, [name, table]) => withTable(text, name, flagTable(table)),
    page,
  );
}

function withTable(page: string, name: string, table: string): string {
  const startMark = `<!-- flags of ${name}: made by scripts/flags-table.ts -->\n`;
  const endMark = `<!-- flags of ${name} end -->`;
  const start = page.indexOf(startMark);
  const end = page.indexOf(endMark);
  if (start === -1 || end < start)
    throw new Error(`docs/flags.md lacks the lines ${startMark.trim()} and ${endMark}`);
  return page.slice(0, start + startMark.length) + table + page.slice(end);
}

if (import.meta.main) {
  const file = Bun.file(FLAGS_PAGE);
  await file.write(withFlagTables(await file.text()));
}
