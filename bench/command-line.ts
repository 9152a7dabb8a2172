import { Command, CommanderError } from "commander";
import { UsageError } from "../src/errors.ts";
import { addFlags } from "../src/options/flags.ts";
import { BENCH_OPTIONS, type BenchOptions, resolveOptions } from "./options.ts";
import { SCALE, SCENARIOS } from "./scenarios.ts";

const EXAMPLES = `
Exit code: 0 where every message came back as it was sent, 1 where not, where a bound of --fail-if is crossed, or where
it could not be measured, 2 for a wrong command line. How to read it all: docs/bench.md.

Examples:
  bun run bench                                          every scenario against a server of its own, under a minute
  bun run bench --scenario tcp-ping,udp-window           some of them
  bun run bench --scenario tcp-ping -c 50 -R 20k -d 10s  20,000 messages a second at their times (open loop)
  bun run bench --scenario tcp-ping --fail-if 'p99>5ms'  for a pipeline
  bun run bench --tcp 10.89.0.11:31234 --udp 10.89.0.11:31678 --scenario tcp-ping,udp-ping
                                                         a server elsewhere: a Pod, a NodePort, someone else's
  bun run bench --html report.html                       with curves
  bun run bench --compare --scenario tcp-ping,tcp-bulk,udp-window
                                                         beside what one would use instead
  bun run bench --compare --peer 'my-echo --tcp {tcp} --udp {udp}'

Scenarios:
${Object.entries({ ...SCENARIOS, scale: SCALE })
  .map(([name, { about }]) => `  ${name.padEnd(13)} ${about}`)
  .join("\n")}
`;

/**
 * Reads the command line. Null where it asked for help, which is printed then.
 * @throws UsageError, in one line, for anything that is not allowed
 */
export function parseCommandLine(argv: readonly string[]): BenchOptions | null {
  const command = new Command("bun run bench")
    .description("Verified load on an echo server: is it exact, how fast, and how does it compare?")
    .addHelpText("after", EXAMPLES)
    .helpOption("-h, --help", "print this help")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, getOutHelpWidth: () => 110 });
  const given = addFlags(command, BENCH_OPTIONS);
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    const said = error.message.replace(/^error: /, "").replaceAll("\n", " ");
    throw new UsageError(`${said}; allowed: see --help`);
  }
  return resolveOptions(given);
}
