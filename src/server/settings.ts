import type { LoopSettings } from "../engine/loop.ts";
import { UsageError } from "../errors.ts";
import type { Environment } from "../options/environment.ts";
import { sessionsWithin } from "../state/descriptors.ts";
import { openFileLimit } from "../sys/limits.ts";
import { defaultHost, usableCores } from "./machine.ts";
import { PLACE_VARIABLES, type ServeOptions } from "./options.ts";

/** From what a person asked for to what the data plane is told. */

/**
 * What the loops are told.
 * @throws UsageError when a banner field is asked for whose variable is not set
 */
export function loopSettings(options: ServeOptions, env: Environment): LoopSettings {
  return {
    hosts: options.hosts ?? [defaultHost()],
    tcpPort: options.tcpPort,
    udpPort: options.udpPort,
    banner: !options.noBanner,
    bannerFields: bannerFields(options.bannerFields, env),
    maxTcpSessions: options.maxTcpSessions ?? sessionsWithin(openFileLimit(), options.maxAdminConnections),
    maxTcpSessionsPerClient: options.maxTcpSessionsPerClient,
    maxUdpSessions: options.maxUdpSessions,
    maxAdminConnections: options.maxAdminConnections,
    tcpIdleTimeoutMs: options.tcpIdleTimeoutMs,
    tcpKeepAliveMs: options.tcpKeepAliveMs,
    udpIdleTimeoutMs: options.udpIdleTimeoutMs,
    maxQueuedBytes: options.maxQueuedBytes,
    proxyProtocol: options.proxyProtocol,
    proxyTrusted: options.proxyTrusted,
    proxyTimeoutMs: options.proxyTimeoutMs,
    udpBlockedSourcePorts: options.udpBlockedSourcePorts,
    udpBannerRate: options.udpBannerRate,
    udpBannerRatePerPrefix: options.udpBannerRatePerPrefix,
    udpRatePerClient: options.udpRatePerClient,
    udpAmplificationMax: options.udpAmplificationMax,
    busyPollMicros: options.busyPollMicros,
    logSessions: options.logLevel === "debug" || options.logLevel === "trace",
  };
}

/**
 * Event loops to start, of each kind that the engine has.
 * @param platform as `process.platform` names it
 * @throws UsageError for more than one where only Linux's SO_REUSEPORT, which spreads clients over sockets, would do
 */
export function workerCount({ workers }: Pick<ServeOptions, "workers">, platform = process.platform): number {
  if (platform === "linux") return workers === 0 ? usableCores() : workers;
  if (workers > 1) {
    throw new UsageError(
      `--workers ${workers} is not allowed on ${platform}: one loop is all that works there; allowed: 1, auto`,
    );
  }
  return 1;
}

function bannerFields(fields: ServeOptions["bannerFields"], env: Environment): string {
  return fields.map((field) => bannerLine(field, env)).join("");
}

function bannerLine(field: keyof typeof PLACE_VARIABLES, env: Environment): string {
  const variable = PLACE_VARIABLES[field];
  const value = env[variable];
  if (value === undefined || !/^[\x21-\x7e]{1,253}$/.test(value)) {
    throw new UsageError(
      `--banner-fields ${field}: ${variable} is ${value ? "not allowed" : "not set"}; ` +
        "allowed: 1 to 253 printable ASCII characters without spaces, from the downward API",
    );
  }
  return `${field[0]!.toUpperCase()}${field.slice(1)}: ${value}\n`;
}
