import {
  BANNER_VARIABLES,
  type Environment,
  optionText,
  refuseUnknownVariables,
} from "./config/environment.ts";
import { defaultHost, usableCores } from "./config/machine.ts";
import { type Config, OPTIONS, type Option, variableOf } from "./config/options.ts";
import { printable, UsageError } from "./errors.ts";
import type { LoopSettings } from "./rules/settings.ts";
import { sessionsWithin } from "./state/descriptors.ts";
import { openFileLimit } from "./sys/limits.ts";

export type { Config } from "./config/options.ts";

/** Texts as given by flags, by the name of the option. */
export type GivenFlags = Readonly<Partial<Record<keyof Config, string>>>;

/**
 * Checks what was given and fills in the rest: a flag counts before its variable, that before the default.
 * @throws UsageError that names the option, the value and what is allowed
 */
export function resolveConfig(flags: GivenFlags, env: Environment): Config {
  refuseUnknownVariables(env);
  const config: Partial<Record<keyof Config, unknown>> = {};
  for (const name of Object.keys(OPTIONS) as (keyof Config)[]) {
    const option: Option<unknown> = OPTIONS[name];
    config[name] = resolveOption(option, flags[name], env);
  }
  const checked = config as Config; // every name of the table was set just now, by its own row
  if (checked.tcpPort === null && checked.udpPort === null) {
    throw new UsageError(
      "--tcp-port off and --udp-port off: nothing to serve; allowed: at most one of them off",
    );
  }
  return checked;
}

/** The value of one option, wherever it comes from. */
export function resolveOption<T>(option: Option<T>, flagText: string | undefined, env: Environment): T {
  const { flag, kind } = option;
  if (flagText !== undefined) return parse(kind, `${flag} ${flagText}`.trimEnd(), flagText);
  const text = optionText(env, flag);
  if (text !== undefined) return parse(kind, `${variableOf(flag)}=${text}`, text);
  if (option.default === null) return null as T; // the table types an option of the machine as T | null
  return parse(kind, `default of ${flag}`, option.default);
}

function parse<T>(kind: Option<T>["kind"], said: string, text: string): T {
  const value = kind.parse(text);
  if (value === undefined)
    throw new UsageError(`${printable(said)} is not allowed; allowed: ${kind.allowed}`);
  return value;
}

/**
 * What the loops are told.
 * @throws UsageError when a banner field is asked for whose variable is not set
 */
export function loopSettings(config: Config, env: Environment): LoopSettings {
  return {
    hosts: config.hosts ?? [defaultHost()],
    tcpPort: config.tcpPort,
    udpPort: config.udpPort,
    banner: !config.noBanner,
    bannerFields: bannerFields(config.bannerFields, env),
    maxTcpSessions: config.maxTcpSessions ?? sessionsWithin(openFileLimit(), config.maxAdminConnections),
    maxTcpSessionsPerClient: config.maxTcpSessionsPerClient,
    maxUdpSessions: config.maxUdpSessions,
    maxAdminConnections: config.maxAdminConnections,
    tcpIdleTimeoutMs: config.tcpIdleTimeoutMs,
    tcpKeepAliveMs: config.tcpKeepAliveMs,
    udpIdleTimeoutMs: config.udpIdleTimeoutMs,
    maxQueuedBytes: config.maxQueuedBytes,
    proxyProtocol: config.proxyProtocol,
    proxyTrusted: config.proxyTrusted,
    proxyTimeoutMs: config.proxyTimeoutMs,
    udpBlockedSourcePorts: config.udpBlockedSourcePorts,
    udpBannerRate: config.udpBannerRate,
    udpBannerRatePerPrefix: config.udpBannerRatePerPrefix,
    udpRatePerClient: config.udpRatePerClient,
    udpAmplificationMax: config.udpAmplificationMax,
    busyPollMicros: config.busyPollMicros,
    logSessions: config.logLevel === "debug" || config.logLevel === "trace",
  };
}

/**
 * Event loops to start, of each kind that the engine has.
 * @param platform as `process.platform` names it
 * @throws UsageError for more than one where only Linux's SO_REUSEPORT, which spreads clients over sockets, would do
 */
export function workerCount({ workers }: Pick<Config, "workers">, platform = process.platform): number {
  if (platform === "linux") return workers === 0 ? usableCores() : workers;
  if (workers > 1) {
    throw new UsageError(
      `--workers ${workers} is not allowed on ${platform}: one loop is all that works there; allowed: 1, auto`,
    );
  }
  return 1;
}

function bannerFields(fields: Config["bannerFields"], env: Environment): string {
  return fields.map((field) => bannerLine(field, env)).join("");
}

function bannerLine(field: keyof typeof BANNER_VARIABLES, env: Environment): string {
  const variable = BANNER_VARIABLES[field];
  const value = env[variable];
  if (value === undefined || !/^[\x21-\x7e]{1,253}$/.test(value)) {
    throw new UsageError(
      `--banner-fields ${field}: ${variable} is ${value ? "not allowed" : "not set"}; ` +
        "allowed: 1 to 253 printable ASCII characters without spaces, from the downward API",
    );
  }
  return `${field[0]!.toUpperCase()}${field.slice(1)}: ${value}\n`;
}
