import { UsageError } from "../errors.ts";
import {
  addressList,
  cidrList,
  decimal,
  duration,
  eachOnce,
  integer,
  listenPort,
  namedPorts,
  oneOf,
  portList,
  size,
  someOf,
  toggle,
} from "../options/kinds.ts";
import { option, type Rows, type Table, type ValuesOf } from "../options/table.ts";

/** Variables of the downward API: where this server stands, by the banner field that shows it. */
export const PLACE_VARIABLES = {
  pod: "ECHO_POD_NAME",
  node: "ECHO_NODE_NAME",
  namespace: "ECHO_NAMESPACE",
} as const;

/** Other commands of this program, and its tests, have variables of their own. */
const VARIABLES_OF_OTHERS = ["CHECK", "WATCH", "FLEET", "MESH", "TEST", "E2E"].map((name) => `ECHO_${name}_`);

/**
 * Ports of services that answer a datagram they did not ask for, so that a forged packet between one of them and
 * an echo server would go back and forth for ever (CVE-2024-2169, RFC 2827): echo 7, systat 11, daytime 13,
 * qotd 17, chargen 19, time 37, DNS 53, TFTP 69, rpcbind 111, NTP 123, NetBIOS 137, SNMP 161, CLDAP 389, RIP 520.
 * None is above 1023: a NAT gives clients source ports from 1024 up (netfilter keeps the two ranges apart), and a
 * session dropped by chance is what a tool for finding lost packets must not do.
 */
const SELF_ANSWERING_PORTS = "7,11,13,17,19,37,53,69,111,123,137,161,389,520";

/** The longest idle time before keepalive probes that Linux takes: 32,767 s (MAX_TCP_KEEPIDLE). */
const KEEPALIVE_MS_MAX = 9 * 3_600_000;

const ROWS = {
  hosts: option({
    flag: "--host",
    group: "Listening",
    kind: addressList,
    default: null,
    defaultNote: ":: (dual stack), or 0.0.0.0 where there is no IPv6",
    help: "address to listen on; may be given again",
    whenRepeated: eachOnce,
  }),
  tcpPort: option({
    flag: "--tcp-port",
    group: "Listening",
    kind: listenPort,
    default: "1234",
    help: "TCP port",
  }),
  udpPort: option({
    flag: "--udp-port",
    group: "Listening",
    kind: listenPort,
    default: "5678",
    help: "UDP port",
  }),
  adminHosts: option({
    flag: "--admin-host",
    group: "Listening",
    kind: addressList,
    default: null,
    defaultNote: "as --host",
    help: "address of health, metrics and page; may be given again",
    whenRepeated: eachOnce,
  }),
  adminPort: option({
    flag: "--admin-port",
    group: "Listening",
    kind: listenPort,
    default: "8080",
    help: "HTTP port of health, metrics and page",
  }),
  podAdminPorts: option({
    flag: "--pod-admin-ports",
    group: "Listening",
    kind: namedPorts,
    default: "none",
    help: "admin ports of this Pod's containers, this one included, for the page; mesh is the prober's",
  }),
  noBanner: option({
    flag: "--no-banner",
    group: "Banner",
    kind: toggle,
    default: "false",
    help: "send no banner: a plain RFC 862 echo",
  }),
  bannerFields: option({
    flag: "--banner-fields",
    group: "Banner",
    kind: someOf("pod", "node", "namespace"),
    default: "none",
    help: "more banner lines, from ECHO_POD_NAME, ECHO_NODE_NAME, ECHO_NAMESPACE",
  }),
  maxTcpSessions: option({
    flag: "--max-tcp-sessions",
    group: "Limits",
    kind: integer(1, 1_048_576),
    default: null,
    defaultNote: "the open-file limit less 64 and --max-admin-connections (less half of it, if that is less)",
    help: "TCP sessions at once; more are reset",
  }),
  maxTcpSessionsPerClient: option({
    flag: "--max-tcp-sessions-per-client",
    group: "Limits",
    kind: integer(1, 1_048_576, { unlimited: 0 }),
    default: "unlimited",
    help: "TCP sessions at once of one client address; more are reset",
  }),
  maxUdpSessions: option({
    flag: "--max-udp-sessions",
    group: "Limits",
    kind: integer(1, 1_048_576),
    default: "65536",
    help: "UDP sessions at once; further ones are echoed without a banner",
  }),
  lastClients: option({
    flag: "--last-clients",
    group: "Limits",
    kind: integer(0, 256, { off: 0 }),
    default: "32",
    help: "client addresses seen last, of each protocol, that are kept for the page",
  }),
  maxAdminConnections: option({
    flag: "--max-admin-connections",
    group: "Limits",
    kind: integer(1, 65_536),
    default: "64",
    help: "admin connections at once, at most a sixteenth of the open files; the longest-idle one goes",
  }),
  tcpIdleTimeoutMs: option({
    flag: "--tcp-idle-timeout",
    group: "Limits",
    kind: duration({ minMs: 10, orOff: true }),
    default: "5m",
    help: "a TCP session that moves no byte for so long, in the kernel either, is closed",
  }),
  tcpKeepAliveMs: option({
    flag: "--tcp-keepalive",
    group: "Limits",
    kind: duration({ minMs: 1000, maxMs: KEEPALIVE_MS_MAX, orOff: true }),
    default: "60s",
    help: "a TCP peer silent for so long is probed; 4 probes unanswered, 15 s apart (or so long, if less), end its session",
  }),
  udpIdleTimeoutMs: option({
    flag: "--udp-idle-timeout",
    group: "Limits",
    kind: duration({ minMs: 10, orOff: true }),
    default: "60s",
    help: "a UDP session without a datagram for so long ends",
  }),
  maxQueuedBytes: option({
    flag: "--max-queued-bytes",
    group: "Limits",
    kind: size(1024, 1024 ** 3),
    default: "1MiB",
    help: "bytes kept for one slow reader; a session past it is reset",
  }),
  proxyProtocol: option({
    flag: "--proxy-protocol",
    group: "PROXY protocol",
    kind: oneOf("mode", "off", "accept", "require"),
    default: "off",
    help: "headers (v1, v2) that name the real client: off, accept or require",
  }),
  proxyTrusted: option({
    flag: "--proxy-trusted",
    group: "PROXY protocol",
    kind: cidrList,
    default: "any",
    help: "whose headers are believed",
  }),
  proxyTimeoutMs: option({
    flag: "--proxy-timeout",
    group: "PROXY protocol",
    kind: duration({ minMs: 10 }),
    default: "3s",
    help: "how long the banner waits for a header, and a header, once begun, for its end",
  }),
  udpBlockedSourcePorts: option({
    flag: "--udp-blocked-source-ports",
    group: "UDP safety",
    kind: portList,
    default: SELF_ANSWERING_PORTS,
    help: "loop guard: datagrams from these ports are dropped (from 0 and the server's own always)",
  }),
  udpBannerRate: option({
    flag: "--udp-banner-rate",
    group: "UDP safety",
    kind: integer(0, 1_000_000_000, { unlimited: Number.POSITIVE_INFINITY }),
    default: "20000",
    help: "UDP banners a second of the whole server; past it sessions get the echo alone; 0: none",
  }),
  udpBannerRatePerPrefix: option({
    flag: "--udp-banner-rate-per-prefix",
    group: "UDP safety",
    kind: integer(0, 1_000_000_000, { unlimited: Number.POSITIVE_INFINITY }),
    default: "5000",
    help: "UDP banners a second to one source prefix (IPv4 /24, IPv6 /64); 0: none",
  }),
  udpRatePerClient: option({
    flag: "--udp-rate-per-client",
    group: "UDP safety",
    kind: integer(1, 1_000_000_000, { off: 0 }),
    default: "off",
    help: "loop guard without banners: datagrams a second of one client address; more are dropped",
  }),
  udpAmplificationMax: option({
    flag: "--udp-amplification-max",
    group: "UDP safety",
    kind: decimal(1, 1000),
    default: "10",
    help: "most bytes out for a byte in, headers included; a banner that is more is left out",
  }),
  engine: option({
    flag: "--engine",
    group: "Data plane",
    kind: oneOf("engine", "auto", "bun", "linux"),
    default: "auto",
    help: "what moves bytes: bun (its sockets), linux (system calls), auto (linux where it works)",
  }),
  busyPollMicros: option({
    flag: "--busy-poll",
    group: "Data plane",
    kind: integer(0, 10_000),
    default: "0",
    help: "microseconds the linux engine looks for work before it sleeps: quicker answers for a busy core",
  }),
  workers: option({
    flag: "--workers",
    group: "Data plane",
    kind: integer(1, 64, { auto: 0 }),
    default: "1",
    help: "event loops on SO_REUSEPORT (bun: of each protocol), 1 off Linux; auto: as many as this container may use cores",
  }),
  faultInjection: option({
    flag: "--fault-injection",
    group: "Data plane",
    kind: toggle,
    default: "false",
    help: "SIGUSR2 makes the last event loop throw (bun: of TCP's), to see it replaced",
  }),
  drainTimeoutMs: option({
    flag: "--drain-timeout",
    group: "Health and shutdown",
    kind: duration({ minMs: 0 }),
    default: "10s",
    help: "how long sessions may finish after SIGTERM or SIGINT",
  }),
  readinessTimeoutMs: option({
    flag: "--readiness-timeout",
    group: "Health and shutdown",
    kind: duration({ minMs: 10 }),
    default: "1s",
    help: "how long the echo of /readyz may take",
  }),
  logLevel: option({
    flag: "--log-level",
    group: "Log",
    kind: oneOf("level", "trace", "debug", "info", "warn", "error", "silent"),
    default: "info",
    help: "trace, debug (with every session), info, warn, error or silent",
  }),
  logFormat: option({
    flag: "--log-format",
    group: "Log",
    kind: oneOf("format", "auto", "json", "pretty"),
    default: "auto",
    help: "json, pretty, or auto: pretty on a terminal, json elsewhere",
  }),
} satisfies Rows;

/** Every option of `serve`, in the order of the help. */
export const SERVE_OPTIONS: Table<typeof ROWS> = {
  variables: { prefix: "ECHO_", besides: Object.values(PLACE_VARIABLES), others: VARIABLES_OF_OTHERS },
  rows: ROWS,
};

/** What a server is asked to be: its options, checked. */
export type ServeOptions = ValuesOf<typeof ROWS>;

/** @throws UsageError for options that are each allowed, but not together */
export function checkTogether({ tcpPort, udpPort }: ServeOptions): void {
  if (tcpPort !== null || udpPort !== null) return;
  throw new UsageError(
    "--tcp-port off and --udp-port off: nothing to serve; allowed: at most one of them off",
  );
}
