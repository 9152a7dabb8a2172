import { UsageError } from "../src/errors.ts";
import { duration, integer, type Kind, oneOf, size, toggle } from "../src/options/kinds.ts";
import { type Bound, bounds } from "./fail-if.ts";
import { amount, type HostPort, hostAndPort, ipAddress, namesOf, path, peerCommand } from "./kinds.ts";
import { SCENARIOS } from "./scenarios.ts";

/** The longest message of TCP, and the longest datagram of IPv4. */
const MESSAGE_MAX = 131_072;
const DATAGRAM_MAX = 65_507;

/** With `--requests` alone, so long at most. */
const DURATION_MAX_MS = 3_600_000;
const DURATION_MS = 2000;
/** Until the JIT has compiled what runs often. */
const WARMUP_MS = 700;

/** One option: all that is known about it. Its flags, check and help come from here. */
export interface Option<T> {
  /** The long flag. */
  readonly flag: `--${string}`;
  /** Short ones, as other load generators have them. */
  readonly short?: readonly `-${string}`[];
  readonly kind: Kind<T>;
  /** One line for help, without a full stop. */
  readonly help: string;
  /** May be given again: the values add up. */
  readonly repeatable?: true;
}

const option = <T>(row: Option<T>): Option<T> => row;

/** Every option, in the order of the help. */
export const OPTIONS = {
  scenarios: option({
    flag: "--scenario",
    kind: namesOf(...Object.keys(SCENARIOS), "scale"),
    help: "which, separated by commas; all but scale where none is named",
  }),
  connections: option({
    flag: "--connections",
    short: ["-c"],
    kind: integer(1, 60_000),
    help: "sessions, in place of the scenario's",
  }),
  size: option({
    flag: "--size",
    kind: size(1, MESSAGE_MAX),
    help: "payload of a message, in place of the scenario's: 64, 16KiB",
  }),
  rate: option({
    flag: "--rate",
    short: ["-R"],
    kind: amount(1, 10_000_000),
    help: "messages a second, 20000 or 20k, at their times, answers or not (open loop)",
  }),
  durationMs: option({
    flag: "--duration",
    short: ["-d", "-z"],
    kind: duration({ minMs: 100, bareSeconds: true }),
    help: "measured time of each cell, also -z: 500ms, 10s, 2m; a bare number is seconds (2s)",
  }),
  warmupMs: option({
    flag: "--warmup",
    kind: duration({ minMs: 0, bareSeconds: true }),
    help: "load before it, not measured (700ms; not longer than --duration)",
  }),
  requests: option({
    flag: "--requests",
    kind: amount(1, 1_000_000_000),
    help: "ends each cell after so many messages; without --duration, after those alone",
  }),
  target: option({
    flag: "--target",
    kind: hostAndPort,
    help: "a server elsewhere, TCP and UDP on one port",
  }),
  tcp: option({ flag: "--tcp", kind: hostAndPort, help: "a server elsewhere: its TCP port" }),
  udp: option({ flag: "--udp", kind: hostAndPort, help: "a server elsewhere: its UDP port" }),
  source: option({ flag: "--source", kind: ipAddress, help: "address that sessions come from" }),
  workers: option({ flag: "--workers", kind: integer(1, 64), help: "load Workers (1)" }),
  engine: option({
    flag: "--engine",
    kind: oneOf("engine", "auto", "bun", "linux"),
    help: "of our own server: auto, bun or linux",
  }),
  serverWorkers: option({
    flag: "--server-workers",
    kind: integer(1, 64),
    help: "event loops of our own server",
  }),
  failIf: option({
    flag: "--fail-if",
    kind: bounds,
    help: "exit 1 where one of these is true: 'p99>5ms,lost>0,rate<10k'; may be given again",
    repeatable: true,
  }),
  compare: option({
    flag: "--compare",
    kind: toggle,
    help: "run other servers beside ours, interleaved, and print ratios",
  }),
  peers: option({
    flag: "--peer",
    kind: peerCommand,
    help: "with --compare: one more server; {tcp} and {udp} become ports; may be given again",
    repeatable: true,
  }),
  repetitions: option({
    flag: "--repetitions",
    kind: integer(1, 50),
    help: "with --compare: how often each server is measured (3)",
  }),
  results: option({
    flag: "--results",
    kind: toggle,
    help: "with --compare or --scenario scale: write bench/RESULTS.md and its charts",
  }),
  json: option({ flag: "--json", kind: toggle, help: "print JSON in place of the tables" }),
  html: option({ flag: "--html", kind: path, help: "write a report with curves, one file" }),
} as const;

export type OptionName = keyof typeof OPTIONS;

/** Texts as given on the command line; several where the option is repeatable. */
export type GivenTexts = Readonly<Partial<Record<OptionName, readonly string[]>>>;

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
  /** 0: by time alone. */
  readonly requests: number;
  readonly workers: number;
  /** Someone else's echo, by protocol; null for our own server, started here. */
  readonly target: { readonly tcp: HostPort | null; readonly udp: HostPort | null } | null;
  readonly source: string | null;
  readonly engine: string | null;
  readonly serverWorkers: number | null;
  readonly failIf: readonly Bound[];
  readonly json: boolean;
  readonly html: string | null;
  readonly compare: boolean;
  readonly peers: readonly string[];
  readonly repetitions: number;
  readonly results: boolean;
}

/**
 * Checks what was given, each value and all together, and fills in the rest.
 * @throws UsageError, in one line that names option, value and what is allowed
 */
export function resolveOptions(given: GivenTexts): BenchOptions {
  const all = <T>(name: OptionName, { flag, kind }: Option<T>): T[] =>
    (given[name] ?? []).map((text) => parse(flag, kind, text));
  const one = <T>(name: OptionName, row: Option<T>): T | null => all(name, row).at(-1) ?? null;
  const both = one("target", OPTIONS.target);
  const tcp = one("tcp", OPTIONS.tcp);
  const udp = one("udp", OPTIONS.udp);
  const requests = one("requests", OPTIONS.requests) ?? 0;
  const durationMs = one("durationMs", OPTIONS.durationMs) ?? (requests > 0 ? DURATION_MAX_MS : DURATION_MS);
  const options: BenchOptions = {
    scenarios: one("scenarios", OPTIONS.scenarios) ?? Object.keys(SCENARIOS),
    connections: one("connections", OPTIONS.connections),
    size: one("size", OPTIONS.size),
    rate: one("rate", OPTIONS.rate),
    durationMs,
    warmupMs: one("warmupMs", OPTIONS.warmupMs) ?? Math.min(WARMUP_MS, durationMs),
    requests,
    workers: one("workers", OPTIONS.workers) ?? 1,
    target: both === null && tcp === null && udp === null ? null : { tcp: tcp ?? both, udp: udp ?? both },
    source: one("source", OPTIONS.source),
    engine: one("engine", OPTIONS.engine),
    serverWorkers: one("serverWorkers", OPTIONS.serverWorkers),
    failIf: all("failIf", OPTIONS.failIf).flat(),
    json: one("json", OPTIONS.json) ?? false,
    html: one("html", OPTIONS.html),
    compare: one("compare", OPTIONS.compare) ?? false,
    peers: all("peers", OPTIONS.peers),
    repetitions: one("repetitions", OPTIONS.repetitions) ?? 3,
    results: one("results", OPTIONS.results) ?? false,
  };
  if (given.scenarios === undefined && options.target !== null)
    return checked({ ...options, scenarios: servedBy(options.target, options.scenarios) });
  return checked(options);
}

function parse<T>(flag: string, kind: Kind<T>, text: string): T {
  const value = kind.parse(text);
  if (value === undefined)
    throw new UsageError(`${flag} ${printable(text)} is not allowed; allowed: ${kind.allowed}`);
  return value;
}

/** On one line, whatever the value holds. */
function printable(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ");
  return plain.length > 200 ? `${plain.slice(0, 200)}...` : plain;
}

const protocolsOf = (name: string): ("tcp" | "udp")[] =>
  name === "mixed" || name === "scale" ? ["tcp", "udp"] : [name.startsWith("udp") ? "udp" : "tcp"];

/** Of all scenarios, those that a target with one protocol can run. */
function servedBy(target: NonNullable<BenchOptions["target"]>, names: readonly string[]): string[] {
  return names.filter((name) => protocolsOf(name).every((protocol) => target[protocol] !== null));
}

function checked(options: BenchOptions): BenchOptions {
  const { scenarios, target } = options;
  if (target !== null && options.compare)
    throw new UsageError("--target and --compare: one of them; a comparison starts its servers itself");
  for (const name of scenarios) {
    const absent = protocolsOf(name).find((protocol) => target !== null && target[protocol] === null);
    if (absent !== undefined)
      throw new UsageError(`--scenario ${name} needs a ${absent} port; allowed: with --${absent} HOST:PORT`);
  }
  const overUdp = scenarios.find((name) => protocolsOf(name).includes("udp"));
  if (overUdp !== undefined && (options.size ?? 0) > DATAGRAM_MAX)
    throw new UsageError(
      `--size ${options.size} is not allowed in ${overUdp}; allowed: up to ${DATAGRAM_MAX}`,
    );
  if (options.peers.length > 0 && !options.compare) throw new UsageError("--peer goes with --compare");
  if (options.failIf.length > 0 && options.compare)
    throw new UsageError("--fail-if and --compare: one of them; bounds are of one server");
  if (options.results && !options.compare && scenarios.join() !== "scale")
    throw new UsageError("--results goes with --compare, or with --scenario scale alone");
  if (target !== null && (options.engine !== null || options.serverWorkers !== null))
    throw new UsageError("--engine and --server-workers are for our own server, not with --target");
  return options;
}
