import type { MeshQuestion } from "../../src/diagnose/mesh/seen.ts";
import { runTask } from "../../src/diagnose/thread.ts";

/**
 * A prober as a process of its own, to be stopped and measured: `bun probe-run.ts QUESTION ENGINE` (as JSON; `linux` or
 * `bun`). It prints each event as a line of JSON, and on SIGTERM `"ended"`.
 */
const [question, engine] = process.argv.slice(2) as [string, string];
const abort = new AbortController();
process.on("SIGTERM", () => abort.abort());
const outcome = await runTask("mesh", JSON.parse(question) as MeshQuestion, {
  signal: abort.signal,
  onEvent: (event) => console.log(JSON.stringify(event)),
  bySystemCalls: engine === "linux",
});
console.log(JSON.stringify(outcome === null ? "ended" : outcome));
