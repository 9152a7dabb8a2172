/**
 * Makes bench/RESULTS.md and its charts anew: ours beside others, then growing numbers of sessions. About 25 minutes,
 * on a machine that does nothing else.
 *
 *     bun bench/dev/results.ts
 */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

const SCENARIOS = "tcp-ping,tcp-pipeline,tcp-bulk,tcp-churn,udp-ping,udp-window";
const RUNS = [
  ["--compare", "--results", "--scenario", SCENARIOS, "--repetitions", "3", "--duration", "1.2"],
  ["--scenario", "scale", "--results", "--duration", "1.5"],
];

let failed = 0;
for (const args of RUNS) {
  const child = Bun.spawn([process.execPath, MAIN, ...args], { stdio: ["ignore", "inherit", "inherit"] });
  if ((await child.exited) !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
