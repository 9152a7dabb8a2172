import { isatty } from "node:tty";
import type { Engine } from "../diagnose/thread.ts";
import type { Size } from "../diagnose/watch/screen.ts";
import type { WatchQuestion } from "../diagnose/watch/watch.ts";
import { UsageError } from "../errors.ts";
import { type Environment, refuseUnknownVariables } from "../options/environment.ts";
import { duration, someOf, toggle } from "../options/kinds.ts";
import { option, type Rows, type Table, type ValuesOf } from "../options/table.ts";
import { ENGINE_ROW, targetsAsked, versionAsked, versionRows } from "./asking.ts";
import type { Command } from "./command.ts";

const STDOUT = 1;
const STDERR = 2;

/** More flows than these targets have would be a load, and no question. */
const TARGETS_MAX = 100;

/** Where a terminal does not say how wide and high it is. */
const SIZE: Size = [80, 24];

const DAY_MS = 86_400_000;

const EXAMPLES = `
A target is HOST or HOST:PORT (both protocols), tcp://HOST[:PORT] or udp://HOST[:PORT], as of check.

The probes: tcp-held (one session: does it survive), tcp-new (a new connection each second: do newcomers get in),
udp-fixed (one source port for ever: the flow that conntrack keeps), udp-connected (one connected socket: balancers
that choose at connect), udp-new (a new source port each second: what a newcomer sees).

An outage runs from the sending of the first probe that got no answer to the sending of the first one after it that did;
of tcp-held to the arrival of the next byte. Ctrl-C and SIGTERM print the summary and end; SIGUSR1 prints it so far.

Exits 0 if no outage was longer than --max-outage and nothing else was wrong, 1 if not, 2 for a wrong command line, 130 if
it was interrupted before any answer.

Examples:
  echo-server watch echo-server                       while something is rolled, drained or failed over
  echo-server watch udp://10.96.0.7 -i 50ms           outages of UDP to within 50 ms
  echo-server watch echo-server --probes tcp-new,udp-new --duration 2m
                                                      do newcomers always get in? for CI: the exit code says
  echo-server watch server1.headless server2.headless several at once
  echo-server watch echo-server --json                one object a line, for scripts

How to measure a rolling update, a drain, a failover, and what the lines mean: docs/diagnosis.md
`;

const ROWS = {
  intervalMs: option({
    flag: "--interval",
    short: ["-i"],
    kind: duration({ minMs: 1, maxMs: 3_600_000, bareSeconds: true }),
    default: "100ms",
    help: "from one probe of a flow to the next",
  }),
  timeoutMs: option({
    flag: "--timeout",
    short: ["-W"],
    kind: duration({ minMs: 10, maxMs: 3_600_000, bareSeconds: true }),
    default: "1s",
    help: "a probe that was not answered by then is lost",
  }),
  durationMs: option({
    flag: "--duration",
    kind: duration({ minMs: 1, maxMs: 365 * DAY_MS, bareSeconds: true }),
    default: null,
    defaultNote: "until Ctrl-C",
    help: "how long to watch",
  }),
  maxOutageMs: option({
    flag: "--max-outage",
    kind: duration({ minMs: 0, bareSeconds: true }),
    default: "0ms",
    help: "the longest outage of a probe that is still well",
  }),
  probes: option({
    flag: "--probes",
    kind: someOf("tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new"),
    default: null,
    defaultNote: "all of the target's protocols",
    help: "which probes",
  }),
  summaryEveryMs: option({
    flag: "--summary-every",
    kind: duration({ minMs: 1000 }),
    default: null,
    defaultNote: "at the end alone",
    help: "print the summary so far each time",
  }),
  ...versionRows("IPv4 alone", "IPv6 alone"),
  engine: ENGINE_ROW,
  json: option({ flag: "--json", kind: toggle, default: "false", help: "print one JSON object a line" }),
} satisfies Rows;

/** Every option of `watch`, in the order of the help. */
export const WATCH_OPTIONS: Table<typeof ROWS> = { variables: { prefix: "ECHO_WATCH_" }, rows: ROWS };

type WatchOptions = ValuesOf<typeof ROWS>;

/** What to watch, and how to show it. */
export interface WatchTask extends WatchQuestion {
  readonly engine: Engine;
  readonly json: boolean;
}

/** Keeps flows open and says when anything happens to them, and for how long. */
export const watch: Command<typeof ROWS, WatchTask> = {
  name: "watch",
  about: "what happens to flows, when, and for how long: rolling updates, drains, failovers",
  argument: {
    term: "<target...>",
    about: "whom to watch: HOST, HOST:PORT, tcp://HOST:PORT, udp://HOST:PORT",
  },
  table: WATCH_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options, words, env }) {
    refuseUnknownVariables(env, WATCH_OPTIONS, "watch");
    const family = versionAsked(options);
    const targets = targetsAsked(words, family, TARGETS_MAX);
    const { intervalMs, timeoutMs, durationMs, maxOutageMs, summaryEveryMs, engine, json } = options;
    const probes = probesAsked(options, targets);
    const settings = { intervalMs, timeoutMs, durationMs, maxOutageMs, probes, summaryEveryMs };
    return { targets, family, settings, engine, json };
  },

  async run({ engine, json, ...question }, { env, shutdown, onSummary }) {
    const { runWatch } = await import("../diagnose/watch/run.ts");
    const size = terminalSize(env);
    const view = { engine, json, descriptor: STDOUT, complaints: STDERR, size, signal: shutdown, onSummary };
    return { exitCode: await runWatch(question, view) };
  },
};

/** @throws UsageError where a target would have no probe at all */
function probesAsked(
  { probes }: WatchOptions,
  targets: WatchQuestion["targets"],
): WatchQuestion["settings"]["probes"] {
  const asked = probes ?? ROWS.probes.kind.parse(ALL_PROBES)!;
  for (const { text, protocols } of targets) {
    if (asked.some((name) => protocols.some((protocol) => name.startsWith(protocol)))) continue;
    throw new UsageError(
      `--probes ${asked.length === 0 ? "none" : asked.join(",")} leaves nothing to do for ${text}; allowed: one of its protocol at least`,
    );
  }
  return asked;
}

const ALL_PROBES = "tcp-held,tcp-new,udp-fixed,udp-connected,udp-new";

/** How large the terminal is now; null where standard output is none that can be redrawn. */
function terminalSize({ TERM }: Environment): () => Size | null {
  if (!isatty(STDOUT) || TERM === "dumb") return () => null;
  return () => {
    const [columns, rows] = process.stdout.getWindowSize?.() ?? SIZE;
    return [columns || SIZE[0], rows || SIZE[1]];
  };
}
