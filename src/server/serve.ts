import { type Admin, startAdmin } from "../admin/admin.ts";
import type { AdminFacts, Place } from "../admin/facts.ts";
import type { LoopSettings, Loops } from "../engine/loop.ts";
import type { SessionEvent } from "../engine/session-log.ts";
import { chooseEngine, planLoops, startLoops } from "../engine/start.ts";
import type { Logger } from "../log.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { type Environment, refuseUnknownVariables } from "../options/environment.ts";
import {
  adminConnectionsWithin,
  OTHER_DESCRIPTORS,
  sessionDescriptorsWithin,
  sessionsWithin,
} from "../state/descriptors.ts";
import { makeSharedTables, type SharedTables } from "../state/shared.ts";
import { openFileLimit } from "../sys/limits.ts";
import { releaseStartupPages } from "../sys/startup-pages.ts";
import { version } from "../version.ts";
import { drain } from "./drain.ts";
import { PLACE_VARIABLES, SERVE_OPTIONS, type ServeOptions } from "./options.ts";
import { loopSettings, workerCount } from "./settings.ts";

/** One fleet member's life. */

/** What the process gives to the server beside its options. */
export interface Surroundings {
  readonly env: Environment;
  readonly log: Logger;
  /** Lines of the log that nobody read. */
  logLinesLost(): number;
  /** Aborts when the process shall end; its reason is the signal's name. */
  readonly shutdown: AbortSignal;
  /** Makes `inject` be called when a fault shall be injected. */
  onFault(inject: () => void): void;
}

/**
 * Starts everything, serves until `shutdown`, drains, and returns when nothing is open any more.
 * @throws UsageError for options that cannot work here, StartError when an address cannot be bound
 */
export async function serve(options: ServeOptions, surroundings: Surroundings): Promise<void> {
  const { env, log, shutdown, onFault, logLinesLost } = surroundings;
  refuseUnknownVariables(env, SERVE_OPTIONS, "serve");
  const settings = loopSettings(options, env);
  warn(settings, log);
  const workers = workerCount(options);
  const choice = chooseEngine(options.engine);
  const serves = planLoops(choice.engine, settings, workers);
  const clientsMax = settings.maxTcpSessionsPerClient > 0 ? settings.maxTcpSessions : 0;
  const slots = { tcp: settings.maxTcpSessions + OTHER_DESCRIPTORS, udp: settings.maxUdpSessions };
  const seen = { rows: options.lastClients, slots };
  const tables = makeSharedTables(serves.length, clientsMax, serves, undefined, seen);
  let workerRestarts = 0;
  const loops = await startLoops(choice, settings, tables, {
    onSession: settings.logSessions ? (event) => logSession(log, event) : null,
    onRestart: (loop, why) => {
      workerRestarts++;
      log.error({ loop, why }, "event loop restarted");
    },
    onStartFailure: (loop, why, retryMs) => log.error({ loop, why, retryMs }, "event loop did not start"),
    onReplacement: (loop) => log.info({ loop }, "event loop runs again"),
    onSessionFault: (loop, why) => log.error({ loop, why }, "session reset after a fault"),
    onLoss: (loop, why) => log.error({ loop, why }, "event loop died while draining"),
  });
  const counts = { workerRestarts: () => workerRestarts, logLinesLost };
  const admin = await startAdminOf(options, env, settings, tables, loops, counts);
  if (options.faultInjection) onFault(() => loops.fail());
  const { engine, engineReason, bound } = loops;
  const addresses = {
    tcp: bound.tcp.map(formatEndpoint),
    udp: bound.udp.map(formatEndpoint),
    admin: admin?.bound.map(formatEndpoint) ?? [],
  };
  const { maxTcpSessions } = settings;
  log.info({ ...addresses, engine, engineReason, workers, maxTcpSessions, version }, "ready");
  releaseStartupPages();
  await aborted(shutdown);
  await drain(loops, tables, options.drainTimeoutMs, String(shutdown.reason), log);
  await loops.stop();
  admin?.stop();
  log.info("stopped");
}

async function startAdminOf(
  options: ServeOptions,
  env: Environment,
  settings: LoopSettings,
  tables: SharedTables,
  loops: Loops,
  counts: Pick<AdminFacts, "workerRestarts" | "logLinesLost">,
): Promise<Admin | null> {
  if (options.adminPort === null) return null;
  const { engine, engineReason, bound } = loops;
  const { adminPort: port, readinessTimeoutMs, podAdminPorts } = options;
  const hosts = options.adminHosts ?? settings.hosts;
  const connectionsMax = adminConnectionsWithin(openFileLimit(), settings.maxAdminConnections);
  const descriptorsMax = sessionDescriptorsWithin(openFileLimit(), settings.maxAdminConnections);
  try {
    return startAdmin(
      {
        tables,
        bound,
        settings,
        engine,
        engineReason,
        version,
        place: placeOf(env),
        podAdminPorts,
        ...counts,
      },
      { hosts, port, connectionsMax, descriptorsMax, readinessTimeoutMs },
      env,
    );
  } catch (error) {
    await loops.stop();
    throw error;
  }
}

function placeOf(env: Environment): Place {
  const { pod, node, namespace } = PLACE_VARIABLES;
  return { pod: env[pod], node: env[node], namespace: env[namespace] };
}

/** What is allowed, but most likely not meant. */
function warn(settings: LoopSettings, log: Logger): void {
  const room = sessionsWithin(openFileLimit(), settings.maxAdminConnections);
  if (settings.tcpPort !== null && settings.maxTcpSessions > room) {
    const { maxTcpSessions } = settings;
    log.warn({ maxTcpSessions, room }, "--max-tcp-sessions is more than the open-file limit has room for");
  }
}

function logSession(log: Logger, event: SessionEvent): void {
  const { protocol, client, via, server } = event.session;
  const session = { protocol, client, via, server };
  if (event.what === "opened") log.debug(session, "session opened");
  else log.debug({ ...session, ...event.end }, "session ended");
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
