import { Command, CommanderError, Option as Flag } from "commander";
import { UsageError } from "../src/errors.ts";
import {
  type BenchOptions,
  type GivenTexts,
  OPTIONS,
  type Option,
  type OptionName,
  resolveOptions,
} from "./options.ts";
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
  const given: Partial<Record<OptionName, string[]>> = {};
  const command = new Command("bun run bench")
    .description("Verified load on an echo server: is it exact, how fast, and how does it compare?")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, getOutHelpWidth: () => 110 });
  for (const name of Object.keys(OPTIONS) as OptionName[]) {
    const keep = (text: string): void => {
      given[name] = [...(given[name] ?? []), text];
    };
    for (const flag of flagsOf(OPTIONS[name])) {
      command.addOption(flag.required ? flag.argParser(keep) : flag);
      if (!flag.required) command.on(`option:${flag.name()}`, () => keep("true"));
    }
  }
  try {
    command.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    const said = error.message.replace(/^error: /, "").split("\n", 1)[0];
    throw new UsageError(`${said}; allowed: see --help`);
  }
  return resolveOptions(given satisfies GivenTexts);
}

/** Commander knows one short flag an option: those beyond it are options of their own, which help leaves out. */
function flagsOf({ flag, short = [], kind, help }: Option<unknown>): Flag[] {
  const value = kind.placeholder === "" ? "" : ` <${kind.placeholder}>`;
  const [first, ...others] = short;
  const shown = new Flag(`${first === undefined ? "" : `${first}, `}${flag}${value}`, help);
  return [shown, ...others.map((other) => new Flag(`${other}${value}`).hideHelp())];
}
