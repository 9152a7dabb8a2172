import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import type { BenchOptions } from "../options.ts";
import { coresApart } from "../run/cores.ts";
import type { CellResult } from "../run/types.ts";
import { chart } from "./chart.ts";
import { type Comparison, figureText, machineWasQuiet, median, remarks, serverNames } from "./comparison.ts";
import { scaleChart, scaleSection } from "./scale.ts";
import { describeCell } from "./table.ts";

const FOLDER = fileURLToPath(new URL("../", import.meta.url));

/** Sections of bench/RESULTS.md, each kept by the command that made it, in the order in which they stand there. */
const SECTIONS = ["comparison", "scale"] as const;

/** Writes a comparison into bench/RESULTS.md, with the machine, the versions and the date, and its chart. */
export async function writeComparison(comparison: Comparison, options: BenchOptions): Promise<void> {
  await Bun.write(`${FOLDER}RESULTS.svg`, chart(comparison));
  await writeSection("comparison", comparisonSection(comparison, options));
}

/** Writes a sweep over session counts into bench/RESULTS.md, and its charts. */
export async function writeScale(results: readonly CellResult[], options: BenchOptions): Promise<void> {
  const command = `bun run bench --scenario scale --results --duration ${options.durationMs / 1000}`;
  await Bun.write(`${FOLDER}RESULTS-scale.svg`, scaleChart(results));
  await writeSection("scale", scaleSection(results, command));
}

async function writeSection(name: (typeof SECTIONS)[number], text: string): Promise<void> {
  const about = machine().map((line) => `- ${line}`);
  await Bun.write(`${FOLDER}results/${name}.md`, `${text.trimEnd()}\n\n${about.join("\n")}\n`);
  const files = SECTIONS.map((section) => Bun.file(`${FOLDER}results/${section}.md`));
  const parts = await Promise.all(
    files.map(async (file) => ((await file.exists()) ? await file.text() : "")),
  );
  const head = "# Results\n\nMade by the commands named below; not edited by hand.\n";
  await Bun.write(`${FOLDER}RESULTS.md`, [head, ...parts.filter((part) => part !== "")].join("\n"));
}

const ALONE = "Server on one core, load on another: where the load is the limit, this is the load's figure.";
const TOGETHER = "One core for both.";
const BUSY =
  "Left out: the machine was busy, and times and rates would be a neighbour's. CPU per message stands.";

function comparisonSection(comparison: Comparison, options: BenchOptions): string {
  const command = `bun run bench --compare --results --scenario ${options.scenarios.join(",")} --repetitions ${options.repetitions} --duration ${options.durationMs / 1000}`;
  const costs = table(comparison, (compared, name) => figureText(comparison, compared, name));
  const rates = table(comparison, ({ figures }, name) => {
    const own = figures.get(name);
    if (own === undefined) return "-";
    return `${(median(own.messagesPerSecond) / 1000).toFixed(1)} k / ${median(own.p99Micros)} us`;
  });
  return `## Beside others

Made by \`${command}\`.

![Server CPU per message over the C floor's](RESULTS.svg)

### Server CPU in microseconds per message, and times the floor's (lower is better)

Ours with its banner and every limit on; the others are bare echoes with back-pressure (\`bench/peers/\`). Each figure is the
median of ${comparison.repetitions} repetitions, each on a fresh process; a ratio is the median of the repetitions' own ratios. \`!\`: not exact; \`?\`: that could not be measured.

${costs}

### Messages a second, and the 99th percentile of the round trip

${machineWasQuiet(comparison) ? `${coresApart() ? ALONE : TOGETHER}\n\n${rates}` : BUSY}

${remarks(comparison)
  .map((line) => `- ${line}`)
  .join("\n")}
`;
}

function table(
  comparison: Comparison,
  text: (compared: Comparison["cells"][number], name: string) => string,
): string {
  const names = serverNames(comparison);
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    row(["scenario", ...names]),
    row(["---", ...names.map(() => "---")]),
    ...comparison.cells.map((compared) =>
      row([
        `${compared.cell.scenario}: ${describeCell(compared.cell)}`,
        ...names.map((name) => text(compared, name)),
      ]),
    ),
  ].join("\n");
}

function machine(): string[] {
  const memory = /MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  const { version } = JSON.parse(readFileSync(`${FOLDER}../package.json`, "utf8")) as { version: string };
  return [
    `date: ${new Date().toISOString().slice(0, 10)}`,
    `machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(Number(memory) / 1e6)} GB, Linux ${release()}, loopback`,
    `versions: echo-server ${version} on Bun ${Bun.version}; ${toolVersions().join("; ")}`,
  ];
}

/** The first line of what each toolchain says of itself. */
function toolVersions(): string[] {
  const commands = [
    ["cc", "--version"],
    ["go", "version"],
    ["rustc", "--version"],
    ["java", "-version"],
    ["node", "--version"],
    ["socat", "-V"],
    ["ncat", "--version"],
  ];
  return commands
    .filter(([program]) => Bun.which(program!) !== null)
    .map((command) => {
      const { stdout, stderr } = Bun.spawnSync(command);
      const lines = `${stdout}${stderr}`.split("\n").filter((line) => line.trim() !== "");
      const line = lines.find((candidate) => /\d+\.\d+/.test(candidate)) ?? "";
      return command[0] === "node" ? `Node ${line}` : line.trim();
    });
}
