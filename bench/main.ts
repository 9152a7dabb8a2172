import { UsageError } from "../src/errors.ts";
import { type BenchOptions, parseOptions } from "./options.ts";
import { renderTable, tableRows } from "./print/table.ts";
import { leaveServerCore } from "./run/cores.ts";
import { runScenarios } from "./run/scenarios.ts";

/** `bun run bench`: asks, runs, prints. Results on stdout, progress on stderr. */

async function main(options: BenchOptions): Promise<void> {
  const abort = new AbortController();
  // The first Ctrl-C ends the run with what there is, the second at once.
  process.on("SIGINT", () => (abort.signal.aborted ? process.exit(130) : abort.abort()));
  leaveServerCore();
  if (options.compare) {
    const { compare } = await import("./compare.ts");
    await compare(options, abort.signal);
    return;
  }
  const results = await runScenarios(options, abort.signal);
  if (options.html !== null) {
    const { renderReport } = await import("./print/report.ts");
    await Bun.write(options.html, renderReport(results, tableRows(results)));
  }
  if (options.results) {
    const { writeScale } = await import("./print/results.ts");
    await writeScale(results, options);
  }
  console.log(options.json ? JSON.stringify({ results }, null, 2) : renderTable(results));
  if (options.html !== null) console.error(`wrote ${options.html}`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options !== null) await main(options);
  process.exit(0);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  console.error(`bench: ${message.split("\n", 1)[0]}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
