import { Command, CommanderError, Option as Flag } from "commander";
import { UsageError } from "./errors.ts";
import { defaultTerm, flagTerm, meaning } from "./options/describe.ts";
import type { Environment } from "./options/environment.ts";
import { OPTIONS, type Option, variableOf } from "./server/options.ts";
import { type Config, type GivenFlags, resolveConfig, resolveOption } from "./server/settings.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly command: "serve"; readonly config: Config }
  | { readonly command: "health"; readonly path: "/readyz" | "/livez"; readonly target: HealthTarget }
  /** Help or version: print it and be done. */
  | { readonly command: "print"; readonly text: string };

/** Where `health` asks, and how long it waits. */
export interface HealthTarget {
  readonly hosts: Config["adminHosts"];
  readonly port: number;
  readonly timeoutMs: number;
}

const HEALTH_OPTIONS = ["hosts", "adminHosts", "adminPort", "readinessTimeoutMs"] as const;

const ABOUT = "An exact, bounded, observable TCP and UDP echo server for Kubernetes networks.";

const SERVE_EXAMPLES = `
Every flag has a variable: --tcp-port is ECHO_TCP_PORT. A flag counts before its variable.

Examples:
  echo-server                                        TCP 1234, UDP 5678, admin 8080, on every address
  echo-server serve --tcp-port 1234 --udp-port off   one protocol, as in one container of a Pod
  echo-server serve --host 127.0.0.1 --host ::1      on loopback only
  echo-server serve --no-banner --workers auto       a plain echo on every core
  echo-server serve --proxy-protocol require --proxy-trusted 10.0.0.0/8
                                                     behind a load balancer that sends PROXY headers
  ECHO_LOG_LEVEL=debug echo-server                   log every session
`;

const HEALTH_EXAMPLES = `
Exits 0 when the answer is yes, 1 when it is no or none came. Reads the same variables as serve.

Examples:
  echo-server health          does a real echo come back, through the front door?
  echo-server health live     do the event loops turn?
`;

/**
 * Reads the command line.
 * @param argv without the program's own name
 * @throws UsageError for whatever is wrong in it or in the environment
 */
export function parseCommandLine(argv: readonly string[], env: Environment, version: string): Invocation {
  let invocation: Invocation | null = null;
  let printed = "";
  const program = new Command("echo-server")
    .description(ABOUT)
    .version(version, "--version", "print versions")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .addHelpText("after", "\nThe flags of serve: echo-server serve --help");
  const serve = program
    .command("serve", { isDefault: true })
    .description("serve echoes until SIGTERM or SIGINT (what echo-server alone does)")
    .addHelpText("after", SERVE_EXAMPLES)
    .action(() => {
      invocation = { command: "serve", config: resolveConfig(givenFlags(serve), env) };
    });
  addFlags(serve, Object.keys(OPTIONS) as (keyof Config)[]);
  const health = program
    .command("health")
    .description("ask the server of this machine how it is")
    .argument("[question]", "ready or live", "ready")
    .addHelpText("after", HEALTH_EXAMPLES)
    .action((question: string) => {
      invocation = healthInvocation(question, givenFlags(health), env);
    });
  addFlags(health, HEALTH_OPTIONS);
  for (const command of [program, serve, health]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        printed += text;
      },
      writeErr: () => {}, // the error itself says it
      getOutHelpWidth: () => 110,
    });
  }
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command: "print", text: printed };
    throw toUsageError(error, argv);
  }
  return invocation!; // one of the two actions has run, or parse has thrown
}

function addFlags(command: Command, names: readonly (keyof Config)[]): void {
  for (const name of names) {
    const option: Option<unknown> = OPTIONS[name];
    const byDefault = defaultTerm(option);
    const notes = [`${variableOf(option.flag)}`, ...(byDefault === "" ? [] : [`default ${byDefault}`])];
    const flag = new Flag(flagTerm(option), `${meaning(option)}\n[${notes.join("; ")}]`).helpGroup(
      `${option.group}:`,
    );
    if (option.repeatable) {
      flag.argParser<string | undefined>((text, before) =>
        before === undefined ? text : `${before},${text}`,
      );
    }
    command.addOption(flag);
  }
}

/** What was given on the command line itself, as text. */
function givenFlags(command: Command): GivenFlags {
  const given: Partial<Record<keyof Config, string>> = {};
  for (const name of Object.keys(OPTIONS) as (keyof Config)[]) {
    const flag = command.options.find(({ long }) => long === OPTIONS[name].flag);
    const attribute = flag?.attributeName() ?? "";
    if (command.getOptionValueSource(attribute) !== "cli") continue;
    const value: unknown = command.getOptionValue(attribute);
    given[name] = typeof value === "string" ? value : "true"; // a toggle has no text of its own
  }
  return given;
}

function healthInvocation(question: string, flags: GivenFlags, env: Environment): Invocation {
  if (question !== "ready" && question !== "live") {
    throw new UsageError(`health ${question} is not allowed; allowed: ready, live`);
  }
  const port = resolveOption(OPTIONS.adminPort, flags.adminPort, env);
  if (port === null || port === 0) {
    throw new UsageError(
      `--admin-port ${port ?? "off"}: health has no port to ask; allowed: a port from 1 to 65535`,
    );
  }
  const hosts =
    resolveOption(OPTIONS.adminHosts, flags.adminHosts, env) ??
    resolveOption(OPTIONS.hosts, flags.hosts, env);
  const timeoutMs = resolveOption(OPTIONS.readinessTimeoutMs, flags.readinessTimeoutMs, env) + 1000;
  return {
    command: "health",
    path: question === "ready" ? "/readyz" : "/livez",
    target: { hosts, port, timeoutMs },
  };
}

/** Commander's complaint in this program's own form: one line that says what is allowed. */
function toUsageError(error: CommanderError, argv: readonly string[]): UsageError {
  if (error.code === "commander.excessArguments") {
    const word = argv.findLast((arg) => !arg.startsWith("-"));
    return new UsageError(
      `unknown command or argument ${JSON.stringify(word)}; allowed: serve, health (see --help)`,
    );
  }
  const said = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  return new UsageError(`${said}; allowed: see echo-server serve --help`);
}
