import { UsageError } from "../src/errors.ts";
import { duration, integer, ipAddress, oneOf, size, toggle } from "../src/options/kinds.ts";
import { type GivenTexts, resolve } from "../src/options/resolve.ts";
import { option, type Rows, type Table, type ValuesOf } from "../src/options/table.ts";
import { type Bound, bounds } from "./fail-if.ts";
import { amount, type HostPort, hostAndPort, namesOf, path, peerCommand } from "./kinds.ts";
import { SCENARIOS } from "./scenarios.ts";

/** The longest message of TCP, and the longest datagram of IPv4. */
const MESSAGE_MAX = 131_072;
const DATAGRAM_MAX = 65_507;

/** With `--requests` alone, so long at most. */
const DURATION_MAX_MS = 3_600_000;
const DURATION_MS = 2000;
/** Until the JIT has compiled what runs often. */
const WARMUP_MS = 700;

const ROWS = {
  scenarios: option({
    flag: "--scenario",
    kind: namesOf(...Object.keys(SCENARIOS), "scale"),
    default: null,
    defaultNote: "all but scale",
    help: "which, separated by commas",
  }),
  connections: option({
    flag: "--connections",
    short: ["-c"],
    kind: integer(1, 60_000),
    default: null,
    help: "sessions, in place of the scenario's",
  }),
  size: option({
    flag: "--size",
    kind: size(1, MESSAGE_MAX),
    default: null,
    help: "payload of a message, in place of the scenario's",
  }),
  rate: option({
    flag: "--rate",
    short: ["-R"],
    kind: amount(1, 10_000_000),
    default: null,
    help: "messages a second, at their times, answers or not (open loop)",
  }),
  durationMs: option({
    flag: "--duration",
    short: ["-d", "-z"],
    kind: duration({ minMs: 100, bareSeconds: true }),
    default: null,
    defaultNote: "2s, or as long as --requests takes",
    help: "measured time of each cell, also -z",
  }),
  warmupMs: option({
    flag: "--warmup",
    kind: duration({ minMs: 0, bareSeconds: true }),
    default: null,
    defaultNote: "700ms, or --duration if that is shorter",
    help: "load before it, not measured",
  }),
  requests: option({
    flag: "--requests",
    kind: amount(1, 1_000_000_000),
    default: null,
    help: "ends each cell after so many messages; without --duration, after those alone",
  }),
  target: option({
    flag: "--target",
    kind: hostAndPort,
    default: null,
    help: "a server elsewhere, TCP and UDP on one port",
  }),
  tcp: option({
    flag: "--tcp",
    kind: hostAndPort,
    default: null,
    help: "a server elsewhere: its TCP port",
  }),
  udp: option({
    flag: "--udp",
    kind: hostAndPort,
    default: null,
    help: "a server elsewhere: its UDP port",
  }),
  source: option({
    flag: "--source",
    kind: ipAddress,
    default: null,
    help: "address that sessions come from",
  }),
  workers: option({ flag: "--workers", kind: integer(1, 64), default: "1", help: "load Workers" }),
  engine: option({
    flag: "--engine",
    kind: oneOf("engine", "auto", "bun", "linux"),
    default: null,
    help: "of our own server: auto, bun or linux",
  }),
  serverWorkers: option({
    flag: "--server-workers",
    kind: integer(1, 64),
    default: null,
    help: "event loops of our own server",
  }),
  failIf: option({
    flag: "--fail-if",
    kind: bounds,
    default: null,
    help: "exit 1 where one of these is true: 'p99>5ms,lost>0,rate<10k'; may be given again",
    whenRepeated: (lists) => lists.flat(),
  }),
  compare: option({
    flag: "--compare",
    kind: toggle,
    default: "false",
    help: "run other servers beside ours, interleaved, and print ratios",
  }),
  peers: option({
    flag: "--peer",
    kind: peerCommand,
    default: null,
    help: "with --compare: one more server; {tcp} and {udp} become ports; may be given again",
    whenRepeated: (lists) => lists.flat(),
  }),
  repetitions: option({
    flag: "--repetitions",
    kind: integer(1, 50),
    default: "3",
    help: "with --compare: how often each server is measured",
  }),
  results: option({
    flag: "--results",
    kind: toggle,
    default: "false",
    help: "with --compare or --scenario scale: write bench/RESULTS.md and its charts",
  }),
  json: option({
    flag: "--json",
    kind: toggle,
    default: "false",
    help: "print JSON in place of the tables",
  }),
  html: option({
    flag: "--html",
    kind: path,
    default: null,
    help: "write a report with curves, one file",
  }),
} as const satisfies Rows;

/** Every option of the bench. It reads no variables: a figure must not depend on what a shell has set. */
export const BENCH_OPTIONS: Table<typeof ROWS> = { variables: null, rows: ROWS };

/** What the rows say by themselves. */
type Values = ValuesOf<typeof ROWS>;

/** What a run is asked to do: the command line, checked. */
export interface BenchOptions extends Omit<Values, "target" | "tcp" | "udp"> {
  /** Names, in the order asked for. */
  readonly scenarios: readonly string[];
  readonly durationMs: number;
  readonly warmupMs: number;
  /** 0: by time alone. */
  readonly requests: number;
  /** Someone else's echo, by protocol; null for our own server, started here. */
  readonly target: { readonly tcp: HostPort | null; readonly udp: HostPort | null } | null;
  readonly failIf: readonly Bound[];
  readonly peers: readonly string[];
}

/**
 * Checks what was given, each value and all together, and fills in the rest.
 * @throws UsageError, in one line that names option, value and what is allowed
 */
export function resolveOptions(given: GivenTexts<typeof ROWS>): BenchOptions {
  const { target: both, tcp, udp, ...values } = resolve(BENCH_OPTIONS, given, {});
  const target =
    both === null && tcp === null && udp === null ? null : { tcp: tcp ?? both, udp: udp ?? both };
  const requests = values.requests ?? 0;
  const durationMs = values.durationMs ?? (requests > 0 ? DURATION_MAX_MS : DURATION_MS);
  return checked({
    ...values,
    scenarios: values.scenarios ?? servedBy(target, Object.keys(SCENARIOS)),
    durationMs,
    warmupMs: values.warmupMs ?? Math.min(WARMUP_MS, durationMs),
    requests,
    target,
    failIf: values.failIf ?? [],
    peers: values.peers ?? [],
  });
}

const protocolsOf = (name: string): ("tcp" | "udp")[] =>
  name === "mixed" || name === "scale" ? ["tcp", "udp"] : [name.startsWith("udp") ? "udp" : "tcp"];

/** Of all scenarios, those that a target with one protocol can run. */
function servedBy(target: BenchOptions["target"], names: readonly string[]): readonly string[] {
  if (target === null) return names;
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
