import { UsageError } from "../src/errors.ts";
import { parseCommandLine } from "./command-line.ts";
import { crossed } from "./fail-if.ts";
import type { BenchOptions } from "./options.ts";
import { describeCell, renderTables } from "./print/table.ts";
import { leaveServerCore } from "./run/cores.ts";
import { runScenarios } from "./run/scenarios.ts";
import { exactness } from "./run/verdict.ts";

/** `bun run bench`: asks, runs, prints. Results on stdout, progress and complaints on stderr. */

/** @returns the exit code: 0 if all was exact, and within the bounds of `--fail-if`; else 1 */
async function main(options: BenchOptions): Promise<number> {
  const abort = new AbortController();
  // The first Ctrl-C ends the run with what there is, the second at once.
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => (abort.signal.aborted ? process.exit(130) : abort.abort()));
  }
  leaveServerCore();
  if (options.compare) {
    const { compare } = await import("./compare.ts");
    return (await compare(options, abort.signal)) === true ? 0 : 1;
  }
  const results = await runScenarios(options, abort.signal);
  const exact = exactness(results);
  const failed = results.flatMap((result) =>
    crossed(result, options.failIf).map(
      (bound) => `${result.cell.scenario} (${describeCell(result.cell)}): ${bound}`,
    ),
  );
  const command = ["bun run bench", ...process.argv.slice(2).map(quoted)].join(" ");
  if (options.html !== null) {
    const { renderReport } = await import("./print/report.ts");
    await Bun.write(options.html, renderReport(results, failed, command));
  }
  if (options.results) {
    const { writeScale } = await import("./print/results.ts");
    await writeScale(results, options);
  }
  const reasons = results.flatMap(({ cell, reasons: own }) =>
    own.map((reason) => `${cell.scenario} (${describeCell(cell)}): ${reason}`),
  );
  const json = { exact, reasons, failed, command, results };
  console.log(options.json ? JSON.stringify(json, null, 2) : renderTables(results, failed));
  if (options.html !== null) say(`wrote ${options.html}`);
  return exact === true && failed.length === 0 ? 0 : 1;
}

/** As one types it into a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** On stderr, and not by console.error, which prints in red. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const options = parseCommandLine(process.argv.slice(2));
  process.exit(options === null ? 0 : await main(options));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  say(`bench: ${message.split("\n", 1)[0]}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
