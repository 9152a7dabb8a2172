import { Command, CommanderError, Option } from "commander";
import { UsageError } from "../src/errors.ts";
import { parseAddress } from "../src/net/address.ts";
import { SCALE, SCENARIOS } from "./scenarios.ts";

/** What a run is asked to do: the command line, checked. */
export interface BenchOptions {
  /** Names, in the order asked for. */
  readonly scenarios: readonly string[];
  /** In place of what the scenarios say; null to leave it. */
  readonly connections: number | null;
  readonly size: number | null;
  readonly rate: number | null;
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly workers: number;
  /** Someone else's echo; null for our own server, started here. */
  readonly target: { readonly host: string; readonly port: number } | null;
  readonly engine: string | null;
  readonly serverWorkers: string | null;
  readonly json: boolean;
  readonly html: string | null;
  readonly compare: boolean;
  readonly peers: readonly string[];
  readonly repetitions: number;
  readonly results: boolean;
}

/** The longest message of TCP, and the longest datagram of IPv4. */
const MESSAGE_MAX = 131_072;
const DATAGRAM_MAX = 65_507;

const EXAMPLES = `
Examples:
  bun run bench                                          every scenario against a server of its own, under a minute
  bun run bench --scenario tcp-ping,udp-window           some of them
  bun run bench --scenario tcp-ping --rate 20000         20,000 messages a second at their times (open loop)
  bun run bench --target 10.89.0.11:31234 --scenario tcp-ping,tcp-bulk
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
export function parseOptions(argv: readonly string[]): BenchOptions | null {
  const command = new Command("bun run bench")
    .description("Verified load on an echo server: is it exact, how fast, and how does it compare?")
    .addOption(new Option("--scenario <names>", "which, separated by commas").argParser(scenarioNames))
    .addOption(
      new Option("--connections <n>", "sessions, in place of the scenario's").argParser(
        count("--connections", 1, 60_000),
      ),
    )
    .addOption(
      new Option("--size <bytes>", "payload of a message, in place of the scenario's").argParser(
        count("--size", 1, MESSAGE_MAX),
      ),
    )
    .addOption(
      new Option(
        "--rate <n>",
        "messages a second, at their times whether answers come or not (open loop)",
      ).argParser(count("--rate", 1, 10_000_000)),
    )
    .addOption(
      new Option("--duration <seconds>", "measured time of each cell").argParser(seconds).default(2000, "2"),
    )
    .addOption(new Option("--target <host:port>", "a server elsewhere").argParser(hostPort))
    .addOption(new Option("--workers <n>", "load Workers").argParser(count("--workers", 1, 64)).default(1))
    .addOption(
      new Option("--engine <engine>", "of our own server: auto, bun or linux").choices([
        "auto",
        "bun",
        "linux",
      ]),
    )
    .addOption(
      new Option("--server-workers <n>", "event loops of our own server").argParser(
        count("--server-workers", 1, 64),
      ),
    )
    .option("--compare", "run other servers beside ours, interleaved, and print ratios")
    .addOption(
      new Option(
        "--peer <command>",
        "with --compare: one more server; {tcp} and {udp} become ports; may be given again",
      ).argParser(another),
    )
    .addOption(
      new Option("--repetitions <n>", "with --compare: how often each server is measured")
        .argParser(count("--repetitions", 1, 50))
        .default(3),
    )
    .option("--results", "with --compare or --scenario scale: write bench/RESULTS.md and its charts")
    .option("--json", "print JSON in place of the table")
    .option("--html <file>", "write a report with curves, one file")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  try {
    command.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw new UsageError(`${error.message.replace(/^error: /, "").split("\n", 1)[0]}; see --help`);
  }
  return checked(command.opts());
}

function checked(given: Record<string, unknown>): BenchOptions {
  const options: BenchOptions = {
    scenarios: (given["scenario"] as string[] | undefined) ?? Object.keys(SCENARIOS),
    connections: (given["connections"] as number | undefined) ?? null,
    size: (given["size"] as number | undefined) ?? null,
    rate: (given["rate"] as number | undefined) ?? null,
    durationMs: given["duration"] as number,
    warmupMs: Math.min(700, given["duration"] as number),
    workers: given["workers"] as number,
    target: (given["target"] as BenchOptions["target"] | undefined) ?? null,
    engine: (given["engine"] as string | undefined) ?? null,
    serverWorkers: given["serverWorkers"] === undefined ? null : String(given["serverWorkers"]),
    json: given["json"] === true,
    html: (given["html"] as string | undefined) ?? null,
    compare: given["compare"] === true,
    peers: (given["peer"] as string[] | undefined) ?? [],
    repetitions: given["repetitions"] as number,
    results: given["results"] === true,
  };
  if (options.target !== null && options.compare)
    throw new UsageError("--target and --compare: one of them; a comparison starts its servers itself");
  const overUdp = options.scenarios.find(
    (name) => name === "mixed" || name === "scale" || name.startsWith("udp"),
  );
  if (overUdp !== undefined && (options.size ?? 0) > DATAGRAM_MAX)
    throw new UsageError(
      `--size ${options.size} is not allowed in ${overUdp}; allowed: up to ${DATAGRAM_MAX}`,
    );
  if (options.peers.length > 0 && !options.compare) throw new UsageError("--peer goes with --compare");
  if (options.results && !options.compare && options.scenarios.join() !== "scale") {
    throw new UsageError("--results goes with --compare, or with --scenario scale alone");
  }
  if (options.target !== null && (options.engine !== null || options.serverWorkers !== null)) {
    throw new UsageError("--engine and --server-workers are for our own server, not with --target");
  }
  return options;
}

function scenarioNames(text: string): string[] {
  const allowed = [...Object.keys(SCENARIOS), "scale"];
  const names = text.split(",");
  const wrong = names.find((name) => !allowed.includes(name));
  if (wrong !== undefined)
    throw new UsageError(`--scenario ${wrong} is not allowed; allowed: ${allowed.join(", ")}`);
  return names;
}

function count(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new UsageError(`${flag} ${text} is not allowed; allowed: a whole number from ${min} to ${max}`);
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value >= 0.1 && value <= 3600) return value * 1000;
  throw new UsageError(`--duration ${text} is not allowed; allowed: seconds from 0.1 to 3600`);
}

function hostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (
    host !== undefined &&
    port >= 1 &&
    port <= 65_535 &&
    (match?.[1] === undefined || parseAddress(host) !== null)
  ) {
    return { host, port };
  }
  throw new UsageError(`--target ${text} is not allowed; allowed: host:port, or [IPv6]:port`);
}

function another(command: string, before: string[] | undefined): string[] {
  if (!command.includes("{tcp}") && !command.includes("{udp}")) {
    throw new UsageError(
      `--peer ${command} is not allowed; allowed: a command with {tcp} or {udp} where its ports go`,
    );
  }
  return [...(before ?? []), command];
}
