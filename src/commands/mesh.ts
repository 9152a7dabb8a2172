import { hostname } from "node:os";
import type { ProberPlan } from "../admin/mesh/prober.ts";
import { type Family, familyOf, parseTarget } from "../diagnose/targets.ts";
import type { Engine } from "../diagnose/thread.ts";
import { printable, UsageError } from "../errors.ts";
import type { LogOptions } from "../log.ts";
import { parseAddress } from "../net/address.ts";
import { OBJECT_NAME } from "../net/name.ts";
import { refuseUnknownVariables } from "../options/environment.ts";
import {
  addressList,
  duration,
  eachOnce,
  integer,
  ipAddress,
  type Kind,
  listenPort,
  type NamedPort,
  objectName,
  oneOf,
  portOrOff,
  toggle,
} from "../options/kinds.ts";
import { option, type Rows, type Table, type ValuesOf } from "../options/table.ts";
import { SERVE_OPTIONS } from "../server/options.ts";
import { ENGINE_ROW, versionAsked, versionRows } from "./asking.ts";
import type { Command } from "./command.ts";

/** Each is a series, whatever the degree: with more of them a member would have more than 60 beside its peers'. */
const NAMED_MAX = 32;

const EXAMPLES = `
Runs beside an echo server, finds its peers by a headless name, and asks each of them by a new TCP session, a held one and
UDP, every --interval. A pair is down after two probes in a row without an answer, and unknown until it was measured. What
it sees is at the admin port: /mesh.json, /mesh.json?scope=all (every member's row), /metrics, /livez, /readyz. It ends at
the first SIGTERM or SIGINT.

Examples:
  echo-server mesh                                  beside a server of a fleet, as k8s/components/mesh runs it
  echo-server mesh --name headless --members server1.headless,server2.headless
                                                    two members that must be there, or are unknown
  echo-server mesh --interval 5s --degree 3         fewer questions, in a large fleet
  echo-server mesh --no-banner                      any RFC 862 echo counts, whoever answers
  ECHO_MESH_UDP_PORT=off echo-server mesh           TCP alone
  curl -s localhost:8082/mesh.json?scope=all | jq '.pairs[] | select(.up != true)'
                                                    whatever is down or unknown, from any member

How to read it, its metrics and what it costs: docs/diagnosis.md
`;

/** A name that a resolver is asked for. */
const dnsName: Kind<string> = {
  placeholder: "name",
  allowed: "a name such as mesh or headless.echo-server.svc.cluster.local",
  parse: (text) => (isName(text) ? text : undefined),
};

const dnsNames: Kind<readonly string[]> = {
  placeholder: "names",
  allowed: `names such as server1.headless, separated by commas, ${NAMED_MAX} at most, or none`,
  parse(text) {
    if (text === "none") return [];
    const names = [...new Set(text.split(",").map((name) => name.trim()))];
    return names.length <= NAMED_MAX && names.every(isName) ? names : undefined;
  },
};

const VERSION = versionRows("members' IPv4 addresses alone", "members' IPv6 addresses alone");

const ROWS = {
  name: option({
    flag: "--name",
    group: "The mesh",
    kind: dnsName,
    default: "mesh",
    help: "headless name over all members, resolved each interval",
  }),
  members: option({
    flag: "--members",
    group: "The mesh",
    kind: dnsNames,
    default: "none",
    help: "members that must be there: without an address they are unknown; where none has one they are not asked for",
  }),
  membersMax: option({
    flag: "--max-members",
    group: "The mesh",
    kind: integer(2, 5000),
    default: "1000",
    help: "members of the mesh; more are left out, and counted",
  }),
  degree: option({
    flag: "--degree",
    group: "The mesh",
    kind: integer(1, 100),
    default: "10",
    help: "peers that each member asks, those that follow it on a ring of all",
  }),
  podName: option({
    flag: "--pod-name",
    group: "This member",
    kind: objectName,
    default: null,
    defaultNote: "the host's name",
    help: "what it calls itself",
  }),
  nodeName: option({
    flag: "--node-name",
    group: "This member",
    kind: objectName,
    default: null,
    defaultNote: "none",
    help: "the node that it is on",
  }),
  address: option({
    flag: "--address",
    group: "This member",
    kind: ipAddress,
    default: null,
    defaultNote: "whichever of the name's addresses this machine has",
    help: "its own address; its IP version is then the only one",
  }),
  ipv4: { ...VERSION.ipv4, group: "This member" },
  ipv6: { ...VERSION.ipv6, group: "This member" },
  tcpPort: option({
    flag: "--tcp-port",
    group: "Probes",
    kind: portOrOff,
    default: "1234",
    help: "TCP echo port of every member",
  }),
  udpPort: option({
    flag: "--udp-port",
    group: "Probes",
    kind: portOrOff,
    default: "5678",
    help: "UDP echo port of every member",
  }),
  intervalMs: option({
    flag: "--interval",
    short: ["-i"],
    group: "Probes",
    kind: duration({ minMs: 100, maxMs: 3_600_000, bareSeconds: true }),
    default: "1s",
    help: "from one probe of a kind to the next, of each peer",
  }),
  timeoutMs: option({
    flag: "--timeout",
    short: ["-W"],
    group: "Probes",
    kind: duration({ minMs: 10, maxMs: 3_600_000, bareSeconds: true }),
    default: "500ms",
    help: "a probe that was not answered by then is lost",
  }),
  noBanner: option({
    flag: "--no-banner",
    group: "Probes",
    kind: toggle,
    default: "false",
    help: "take an echo without asking who answered; without this the banner must name the peer that was meant",
  }),
  engine: { ...ENGINE_ROW, group: "Probes" },
  adminHosts: option({
    flag: "--admin-host",
    group: "Admin port",
    kind: addressList,
    default: null,
    defaultNote: ":: (dual stack), or 0.0.0.0 where there is no IPv6",
    help: "address of health, metrics and the matrix; may be given again",
    whenRepeated: eachOnce,
  }),
  adminPort: option({
    flag: "--admin-port",
    group: "Admin port",
    kind: listenPort,
    default: "8082",
    help: "HTTP port of health, metrics and the matrix; members are asked for their names and rows at theirs, the same one",
  }),
  podAdminPorts: { ...SERVE_OPTIONS.rows.podAdminPorts, group: "Admin port" },
  maxAdminConnections: { ...SERVE_OPTIONS.rows.maxAdminConnections, group: "Admin port" },
  logLevel: option({
    flag: "--log-level",
    group: "Log",
    kind: oneOf("level", "trace", "debug", "info", "warn", "error", "silent"),
    default: "info",
    help: "trace, debug (with every pair that is up for the first time), info, warn, error or silent",
  }),
  logFormat: SERVE_OPTIONS.rows.logFormat,
} satisfies Rows;

/** Every option of `mesh`, in the order of the help. */
export const MESH_OPTIONS: Table<typeof ROWS> = { variables: { prefix: "ECHO_MESH_" }, rows: ROWS };

type MeshOptions = ValuesOf<typeof ROWS>;

/** Whom to ask, what to tell where, and how. */
export interface MeshTask extends Pick<ProberPlan, "question" | "self"> {
  readonly engine: Engine;
  /** Null: none. Hosts: null where the machine decides. */
  readonly admin: {
    readonly hosts: readonly string[] | null;
    readonly port: number;
    readonly connectionsMax: number;
    /** Of this Pod's containers; empty where nobody told. */
    readonly podPorts: readonly NamedPort[];
  } | null;
  readonly log: LogOptions;
}

/** Asks its peers all the time, and tells what it sees. */
export const mesh: Command<typeof ROWS, MeshTask> = {
  name: "mesh",
  about: "a prober beside each server: asks its peers all the time, for a matrix and metrics",
  table: MESH_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options, env }) {
    refuseUnknownVariables(env, MESH_OPTIONS, "mesh");
    const { podName, nodeName, engine, adminHosts, adminPort, logLevel, logFormat } = options;
    const { maxAdminConnections: connectionsMax, podAdminPorts: podPorts } = options;
    return {
      question: questionOf(options),
      self: { name: podName ?? hostName(), node: nodeName },
      engine,
      admin: adminPort === null ? null : { hosts: adminHosts, port: adminPort, connectionsMax, podPorts },
      log: { logLevel, logFormat },
    };
  },

  async run({ question, self, engine, admin, log: logOptions }, { shutdown, onExit }) {
    const [{ runProber, adminListening }, { bySystemCallsOf, runTask }, { defaultHost }, { openLog }] =
      await Promise.all([
        import("../admin/mesh/prober.ts"),
        import("../diagnose/thread.ts"),
        import("../server/machine.ts"),
        import("../log.ts"),
      ]);
    const bySystemCalls = bySystemCallsOf(engine);
    const { logger: log, linesLost: logLinesLost, flush } = await openLog(logOptions);
    onExit(flush);
    const hosts = admin?.hosts ?? [defaultHost()];
    const plan = {
      question,
      self,
      admin: admin === null ? null : adminListening(hosts, admin.port, admin.connectionsMax),
      podAdminPorts: admin?.podPorts ?? [],
    };
    await runProber(plan, {
      ...{ log, logLinesLost, shutdown },
      ask: (asked, signal, onEvent) => runTask("mesh", asked, { signal, onEvent, bySystemCalls }),
    });
    return { exitCode: 0 };
  },
};

function questionOf(options: MeshOptions): MeshTask["question"] {
  const { name, members, membersMax, degree, address, intervalMs, timeoutMs, noBanner } = options;
  const { tcpPort, udpPort } = options;
  if (tcpPort === null && udpPort === null) {
    throw new UsageError(
      "--tcp-port off and --udp-port off: nothing to ask; allowed: at most one of them off",
    );
  }
  const family = familyAsked(options);
  return {
    ...{ name, members, membersMax, degree, address, family, tcpPort, udpPort, intervalMs, timeoutMs },
    banner: !noBanner,
  };
}

/** @throws UsageError where two options ask for different versions */
function familyAsked({ address, ...options }: MeshOptions): Family | null {
  const asked = versionAsked(options, "that of --address, or what the name has");
  if (address === null) return asked;
  const family = familyOf(parseAddress(address)!); // its kind has checked it
  if (asked === null || asked === family) return family;
  throw new UsageError(`--address ${address} with -${asked} is not allowed; allowed: an IPv${asked} address`);
}

/** @throws UsageError where this host has a name that cannot be shown */
function hostName(): string {
  const name = hostname();
  if (OBJECT_NAME.test(name)) return name;
  throw new UsageError(
    `this host's name, ${printable(name)}, is not allowed; allowed: --pod-name with ${objectName.allowed}`,
  );
}

/** As a target's host is, and no address. */
function isName(text: string): boolean {
  try {
    const { host, address, port } = parseTarget(text);
    return host === text && address === null && port === null;
  } catch {
    return false;
  }
}
