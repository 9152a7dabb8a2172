import { isatty } from "node:tty";
import type { CheckQuestion } from "../diagnose/check/check.ts";
import { type Family, familyOf } from "../diagnose/targets.ts";
import { UsageError } from "../errors.ts";
import { parseAddress } from "../net/address.ts";
import { refuseUnknownVariables } from "../options/environment.ts";
import { duration, integer, ipAddress, port, size, toggle } from "../options/kinds.ts";
import { option, type Rows, type Table, type ValuesOf } from "../options/table.ts";
import { ENGINE_ROW, targetsAsked, versionAsked, versionRows } from "./asking.ts";
import { wantsColours } from "./colours.ts";
import type { Command } from "./command.ts";

const STDERR = 2;

/** Interrupted before a result, as a shell says it of Ctrl-C. */
const INTERRUPTED = 130;

/** More are a list that was pasted by mistake. */
const TARGETS_MAX = 1000;

/** From this size on a payload names its flow and its number (`client/payload.ts`). */
const PAYLOAD_MIN = 20;
/** The longest datagram of IPv4. */
const PAYLOAD_MAX = 65_507;
/** It is made, and compared, in memory. */
const BULK_MAX = 256 * 1024 * 1024;

/** Where nobody said how many. One port makes one flow. */
const FLOWS = 10;

const EXAMPLES = `
A target is HOST or HOST:PORT (both protocols), tcp://HOST[:PORT] or udp://HOST[:PORT]; the ports are 1234 (TCP) and
5678 (UDP) if nothing else is said; IPv6 with a port stands in brackets. Each address of a name is checked.

Exits 0 if all is well, 1 with at least one problem, 2 for a wrong command line, 130 if it was interrupted before a result.
Works with any RFC 862 echo; who answered and whom it saw is known of this project's own server alone.

Examples:
  echo-server check server1.headless             is this path well, both protocols?
  echo-server check tcp://10.89.0.11:31234       one protocol, one port
  echo-server check echo-server --flows 100      which Pods stand behind a Service, and how evenly?
  echo-server check udp://10.244.1.2 --mtu       what sizes pass, each way by itself?
  echo-server check [fd00::1]:1234 fe80::1%eth0  several targets, side by side
  echo-server check echo-server --wait 60s       until all is well, for a rollout or CI
  echo-server check udp://10.0.0.7 --source-port 40112
                                                 again from the port of the flow that was lost
  echo-server check echo-server --json           for scripts

How to run it in a Pod, and what each verdict means: docs/diagnosis.md
`;

const ROWS = {
  flows: option({
    flag: "--flows",
    kind: integer(1, 1000),
    default: null,
    defaultNote: `${FLOWS}, or 1 with --source-port`,
    help: "new sessions, each from a source port of its own",
  }),
  count: option({
    flag: "--count",
    short: ["-c"],
    kind: integer(1, 100_000),
    default: "20",
    help: "echoes of each flow",
  }),
  size: option({
    flag: "--size",
    short: ["-s"],
    kind: size(PAYLOAD_MIN, PAYLOAD_MAX),
    default: "64",
    help: "payload of an echo",
  }),
  intervalMs: option({
    flag: "--interval",
    short: ["-i"],
    kind: duration({ minMs: 1, maxMs: 3_600_000, bareSeconds: true }),
    default: "10ms",
    help: "from one echo's sending to the next, once a flow was answered",
  }),
  timeoutMs: option({
    flag: "--timeout",
    short: ["-W"],
    kind: duration({ minMs: 10, maxMs: 3_600_000, bareSeconds: true }),
    default: "2s",
    help: "how long an answer may take",
  }),
  bulkBytes: option({
    flag: "--bulk",
    kind: size(0, BULK_MAX, { orOff: true }),
    default: "1MiB",
    help: "TCP: bytes at once on one session, with a half-close; 0: none",
  }),
  mtu: option({ flag: "--mtu", kind: toggle, default: "false", help: "UDP: find what sizes pass, each way" }),
  source: option({
    flag: "--source",
    kind: ipAddress,
    default: null,
    defaultNote: "the system's choice",
    help: "address to ask from; its IP version is then the only one",
  }),
  sourcePort: option({
    flag: "--source-port",
    kind: port,
    default: null,
    defaultNote: "the system's choice",
    help: "port to ask from: one flow, to see again what it saw",
  }),
  ...versionRows("IPv4 alone", "IPv6 alone"),
  addressesMax: option({
    flag: "--max-addresses",
    kind: integer(1, 1000),
    default: "16",
    help: "addresses of one name that are checked",
  }),
  waitMs: option({
    flag: "--wait",
    kind: duration({ minMs: 0, bareSeconds: true }),
    default: "0s",
    help: "try again until all is well, for so long",
  }),
  engine: ENGINE_ROW,
  json: option({ flag: "--json", kind: toggle, default: "false", help: "print JSON for scripts" }),
} satisfies Rows;

/** Every option of `check`, in the order of the help. */
export const CHECK_OPTIONS: Table<typeof ROWS> = { variables: { prefix: "ECHO_CHECK_" }, rows: ROWS };

type CheckOptions = ValuesOf<typeof ROWS>;

/** What to find out, and how to tell it. */
export interface CheckTask extends CheckQuestion {
  readonly json: boolean;
}

/** Asks echo servers, and says in words whether the paths to them are well. */
export const check: Command<typeof ROWS, CheckTask> = {
  name: "check",
  about: "is the path to an echo server well, who answered, and if not, what is wrong",
  argument: { term: "<target...>", about: "whom to ask: HOST, HOST:PORT, tcp://HOST:PORT, udp://HOST:PORT" },
  table: CHECK_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options, words, env }) {
    refuseUnknownVariables(env, CHECK_OPTIONS, "check");
    const family = familyAsked(options);
    const targets = targetsAsked(words, family, TARGETS_MAX);
    const { addressesMax, waitMs, engine, json } = options;
    return { targets, family, addressesMax, settings: settingsOf(options), waitMs, engine, json };
  },

  async run({ json, ...question }, { env, shutdown, onExit }) {
    const [{ check: ask }, { jsonText, reportLines, stepText }, { textOf }, { Progress }] = await Promise.all(
      [
        import("../diagnose/check/check.ts"),
        import("../diagnose/check/report.ts"),
        import("../diagnose/layout.ts"),
        import("../diagnose/progress.ts"),
      ],
    );
    const progress = new Progress(isatty(STDERR));
    onExit(() => progress.stop()); // the bar has told the terminal not to wrap lines
    const report = await ask(question, shutdown, (step) => progress.show(step.share, stepText(step)));
    progress.stop();
    if (report === null) return { exitCode: INTERRUPTED };
    const text = json ? jsonText(report) : textOf(reportLines(report, question.settings), wantsColours(env));
    return { exitCode: report.ok ? 0 : 1, text };
  },
};

/** @throws UsageError where two options ask for different versions */
function familyAsked({ source, ...options }: CheckOptions): Family | null {
  const asked = versionAsked(options);
  if (source === null) return asked;
  const family = familyOf(parseAddress(source)!); // its kind has checked it
  if (asked === null || asked === family) return family;
  throw new UsageError(`--source ${source} with -${asked} is not allowed; allowed: an IPv${asked} address`);
}

/** @throws UsageError where a source port is asked for and more than one flow */
function settingsOf(options: CheckOptions): CheckQuestion["settings"] {
  const { count, size, intervalMs, timeoutMs, bulkBytes, mtu, sourcePort } = options;
  const flows = options.flows ?? (sourcePort === null ? FLOWS : 1);
  if (sourcePort !== null && flows > 1)
    throw new UsageError(
      `--source-port ${sourcePort} with --flows ${flows} is not allowed; allowed: one flow`,
    );
  if (sourcePort !== null && mtu)
    throw new UsageError(
      `--source-port ${sourcePort} with --mtu is not allowed: each size needs a new port; allowed: one of them`,
    );
  const source = {
    ...(options.source === null ? {} : { address: parseAddress(options.source)! }),
    ...(sourcePort === null ? {} : { port: sourcePort }),
  };
  return { flows, count, size, intervalMs, timeoutMs, bulkBytes, mtu, source };
}
