import { CommanderError, Command as Program } from "commander";
import { check } from "./commands/check.ts";
import type { Command } from "./commands/command.ts";
import { fleet } from "./commands/fleet.ts";
import { health } from "./commands/health.ts";
import { mesh } from "./commands/mesh.ts";
import { serve } from "./commands/serve.ts";
import { watch } from "./commands/watch.ts";
import { UsageError } from "./errors.ts";
import type { Environment } from "./options/environment.ts";
import { addFlags } from "./options/flags.ts";
import { type GivenTexts, resolve } from "./options/resolve.ts";

/** What a command line asks for. */
export type Invocation =
  | { readonly command: Command; readonly task: unknown }
  /** Help or the version: print it and be done. */
  | { readonly command: null; readonly text: string };

/** The commands, in the order of the help. */
const COMMANDS: readonly Command[] = [serve, health, check, watch, fleet, mesh];

const ABOUT =
  "An exact, bounded, observable TCP and UDP echo server for Kubernetes networks, and its client that diagnoses.";

/**
 * Reads the command line.
 * @param argv without the program's own name
 * @throws UsageError for whatever is wrong in it or in the environment
 */
export function parseCommandLine(argv: readonly string[], env: Environment, version: string): Invocation {
  let invocation: Invocation | null = null;
  let printed = "";
  const print = (text: string): void => {
    printed += text;
  };
  const program = new Program("echo-server")
    .description(ABOUT)
    .version(version, "--version", "print versions")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .addHelpText("after", "\nThe flags of a command: echo-server serve --help, echo-server check --help");
  tame(program, serve.name, argv, print);
  for (const command of COMMANDS) {
    const line = program.command(command.name, { isDefault: command.isDefault ?? false });
    tame(line, command.name, argv, print);
    const given = addUsage(line, command);
    line.action(() => {
      const words = line.processedArgs.flat().filter((word): word is string => word !== undefined);
      const options = resolve(command.table, given, env);
      invocation = { command, task: command.plan({ options, words, env }) };
    });
  }
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return { command: null, text: printed };
    throw error;
  }
  return invocation!; // a command's action has run, or parse has thrown
}

/** A command's help, argument and flags. @returns what the flags give, once the command line has been parsed */
function addUsage(line: Program, { about, argument, table, helpAfter }: Command): GivenTexts {
  line.description(about).addHelpText("after", helpAfter);
  if (argument !== undefined) line.argument(argument.term, argument.about, argument.default);
  return addFlags(line, table);
}

/**
 * Keeps commander from writing and from ending the process: help goes to `print`, and a complaint becomes an error
 * that points to the help of the command `name`.
 */
function tame(line: Program, name: string, argv: readonly string[], print: (text: string) => void): void {
  line.exitOverride((error) => {
    throw error.exitCode === 0 ? error : toUsageError(error, name, argv);
  });
  const writeErr = (): void => {}; // the error itself says it
  line.configureOutput({ writeOut: print, writeErr, getOutHelpWidth: () => 110 });
}

/** Commander's complaint in this program's own form: one line that says what is allowed. */
function toUsageError(error: CommanderError, name: string, argv: readonly string[]): UsageError {
  if (error.code === "commander.excessArguments") {
    const word = argv.findLast((arg) => !arg.startsWith("-"));
    const allowed = COMMANDS.map((command) => command.name).join(", ");
    return new UsageError(
      `unknown command or argument ${JSON.stringify(word)}; allowed: ${allowed} (see --help)`,
    );
  }
  const said = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  return new UsageError(`${said}; allowed: see echo-server ${name} --help`);
}
