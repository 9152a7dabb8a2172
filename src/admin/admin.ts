import type { Endpoint } from "../net/endpoint.ts";
import type { Environment } from "../options/environment.ts";
import type { AdminFacts } from "./facts.ts";
import { liveness, Readiness } from "./health.ts";
import { type HttpListening, HttpServer, makeConnectionCounts } from "./http-server.ts";
import { makeRegistry } from "./metrics.ts";
import { paced } from "./paced.ts";
import { pageWhenAsked } from "./page-when-asked.ts";
import { answererOf, healthAnswer, metricsAnswer } from "./routes.ts";

/** Where admin listens. */
export interface AdminListening extends HttpListening {
  readonly readinessTimeoutMs: number;
}

/** Admin HTTP, running. */
export interface Admin {
  /** Where it listens. */
  readonly bound: readonly Endpoint[];
  stop(): void;
}

/** Renders of metrics begin at most this often: one who scrapes in a loop takes nothing from the others. */
const RENDER_INTERVAL_MS = 100;

/**
 * Health, metrics and a page, over HTTP on a port of their own. Nobody is asked who they are: what is shown is no
 * secret, and nothing can be changed.
 * @throws StartError when an address cannot be bound
 */
export function startAdmin(facts: AdminFacts, listening: AdminListening, env: Environment): Admin {
  const readiness = new Readiness(facts.tables, facts.bound, facts.settings, listening.readinessTimeoutMs);
  const connections = makeConnectionCounts();
  const registry = makeRegistry(facts.tables, facts, readiness, connections);
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  const page = pageWhenAsked(async () => {
    const { serverPage } = await import("./facts.ts");
    return serverPage(facts, readiness, server.bound[0]!, env);
  });
  const answer = answererOf({
    "/livez": () => healthAnswer(liveness(facts.tables)),
    "/readyz": async () => healthAnswer(await readiness.check()),
    "/metrics": async () => metricsAnswer(await scrape(), registry.contentType),
    ...page,
  });
  const server = new HttpServer(listening, answer, connections);
  void readiness.check(); // so that the first scrape has a verdict to tell
  return {
    bound: server.bound,
    stop() {
      readiness.close();
      server.stop();
    },
  };
}
