/**
 * Faults made on purpose, and what the bench says of them: makes the table of docs/bench.md.
 *
 *     bun bench/dev/faults.ts            prints it
 *     bun bench/dev/faults.ts --write    puts it into docs/bench.md
 */
import { fileURLToPath } from "node:url";
import { CASES, columnsOf, type FaultCase, type Outcome, runCase, STALLS } from "./fault-cases.ts";

const START = "<!-- faults: made by bench/dev/faults.ts -->\n";
const END = "<!-- faults end -->";

export const DOCUMENT = fileURLToPath(new URL("../../docs/bench.md", import.meta.url));

/** A run that the machine disturbed is done again, so many times at most. */
const TRIES = 10;

/** The row that a case has in the table, up to what was seen. */
export function rowStart({ fault, protocol }: FaultCase): string {
  return `| ${fault} | ${protocol} | `;
}

async function row(each: FaultCase): Promise<string> {
  let outcome: Outcome = await runCase(each);
  for (let left = TRIES - 1; left > 0 && disturbed(each, outcome); left--) outcome = await runCase(each);
  const { made, exitCode, result } = outcome;
  const counted = Object.entries(columnsOf(result)).map(
    ([name, value]) => `${name} ${value.toLocaleString("en-US")}`,
  );
  const times = (each.times ?? []).map(
    (name) => `${name} ${((result.roundTrip?.[name] ?? 0) / 1000).toFixed(0)} ms`,
  );
  const seen = [...counted, ...times].join(", ") || "nothing";
  const verdict = result.exact === null ? "not measured" : result.exact ? "exact" : "not exact";
  return `${rowStart(each)}${made.toLocaleString("en-US")} | ${seen} | ${verdict} | ${exitCode} |`;
}

const disturbed = (each: FaultCase, { result }: Outcome): boolean =>
  each.exact !== null && result.limits.length > 0;

/** The text with the table in its place. @throws when the marks are not there */
function withTable(text: string, table: string): string {
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  if (start === -1 || end < start)
    throw new Error(`docs/bench.md lacks the lines ${START.trim()} and ${END}`);
  return text.slice(0, start + START.length) + table + text.slice(end);
}

if (import.meta.main) {
  const lines = ["| fault | over | made | seen | verdict | exit |", "|---|---|---|---|---|---|"];
  for (const each of [...CASES, ...STALLS]) {
    lines.push(await row(each));
    console.log(lines.at(-1));
  }
  if (process.argv.includes("--write")) {
    const file = Bun.file(DOCUMENT);
    await file.write(withTable(await file.text(), `${lines.join("\n")}\n`));
  }
  process.exit(0);
}
