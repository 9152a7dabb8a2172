import { isatty } from "node:tty";
import type { FleetQuestion } from "../diagnose/fleet/fleet.ts";
import { refuseUnknownVariables } from "../options/environment.ts";
import { text, toggle } from "../options/kinds.ts";
import { option, type Rows, type Table } from "../options/table.ts";
import { versionAsked, versionRows } from "./asking.ts";
import { wantsColours } from "./colours.ts";
import type { Command } from "./command.ts";

const STDERR = 2;

/** Interrupted before a result, as a shell says it of Ctrl-C. */
const INTERRUPTED = 130;

const EXAMPLES = `
Every server asks each other one by address and by name, itself through a Service of its own, the Service and each node's
port, by TCP and by UDP; this machine asks the nodes' ports. It needs the machine's kubectl, and the rights to list Pods and
Services of one namespace and to exec into its Pods: no rights on nodes. Without --namespace it looks where kubectl's context
points, then into echo-server.

Exits 0 if all that was measured is well, 1 with at least one problem or where nothing was, 2 for a wrong command line, 130
if it was interrupted before a result.

Examples:
  kubectl apply -k k8s/overlays/dev && echo-server fleet
                                             a fleet, and whether this cluster's network is well
  echo-server fleet --context prod -n team-a another cluster, another namespace
  echo-server fleet --mtu                    what sizes pass, too
  echo-server fleet --json >before.json; echo-server fleet --failed-from before.json
                                             what failed, and that alone again
  echo-server fleet --junit fleet.xml        for CI

What it asks, what it says, and transcripts: docs/diagnosis.md
`;

const ROWS = {
  context: option({
    flag: "--context",
    kind: text("name"),
    default: null,
    defaultNote: "kubectl's current one",
    help: "context of the kubeconfig",
  }),
  namespace: option({
    flag: "--namespace",
    short: ["-n"],
    kind: text("name"),
    default: null,
    defaultNote: "kubectl's current one if a fleet is there, else echo-server",
    help: "where the fleet is",
  }),
  kubectl: option({
    flag: "--kubectl",
    kind: text("program"),
    default: "kubectl",
    help: "the kubectl to use, by name or by path",
  }),
  mtu: option({ flag: "--mtu", kind: toggle, default: "false", help: "UDP: find what sizes pass, each way" }),
  ...versionRows("ask by IPv4", "ask by IPv6"),
  noOutside: option({
    flag: "--no-outside",
    kind: toggle,
    default: "false",
    help: "leave out this machine, which asks the nodes' ports",
  }),
  failedFrom: option({
    flag: "--failed-from",
    kind: text("file"),
    default: null,
    defaultNote: "all is asked",
    help: "ask again only what failed in this report of --json",
  }),
  junit: option({
    flag: "--junit",
    kind: text("file"),
    default: null,
    defaultNote: "none",
    help: "write the cells to this file, too, as JUnit has test cases",
  }),
  json: option({ flag: "--json", kind: toggle, default: "false", help: "print JSON for scripts" }),
} satisfies Rows;

/** Every option of `fleet`, in the order of the help. */
export const FLEET_OPTIONS: Table<typeof ROWS> = { variables: { prefix: "ECHO_FLEET_" }, rows: ROWS };

/** What to find out, and how to tell it. */
export interface FleetTask extends FleetQuestion {
  readonly json: boolean;
  readonly junit: string | null;
}

/** Asks a fleet's servers about each other, and says in words whether the cluster's network is well. */
export const fleet: Command<typeof ROWS, FleetTask> = {
  name: "fleet",
  about: "is the cluster's network well: every server of the fleet asks every other, along every way in",
  table: FLEET_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options, env }) {
    refuseUnknownVariables(env, FLEET_OPTIONS, "fleet");
    const { context, namespace, kubectl, mtu, noOutside, failedFrom, junit, json } = options;
    return {
      kubectl: { program: kubectl, context },
      namespace,
      family: versionAsked(options, "the cluster's own"),
      mtu,
      outside: !noOutside,
      failedFrom,
      junit,
      json,
    };
  },

  async run({ json, junit, ...question }, { env, shutdown, onExit }) {
    const [{ askFleet }, { jsonText, reportLines }, { writeJunit }, { textOf }, { Progress }] =
      await Promise.all([
        import("../diagnose/fleet/fleet.ts"),
        import("../diagnose/fleet/report.ts"),
        import("../diagnose/fleet/junit.ts"),
        import("../diagnose/layout.ts"),
        import("../diagnose/progress.ts"),
      ]);
    const progress = new Progress(isatty(STDERR));
    onExit(() => progress.stop()); // the bar has told the terminal not to wrap lines
    const report = await askFleet(question, shutdown, (share, what) => progress.show(share, what));
    progress.stop();
    if (report === null) return { exitCode: INTERRUPTED };
    if (junit !== null) await writeJunit(junit, report);
    const text = json ? jsonText(report) : textOf(reportLines(report), wantsColours(env));
    return { exitCode: report.ok ? 0 : 1, text };
  },
};
