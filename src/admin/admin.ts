import type { Endpoint } from "../net/endpoint.ts";
import type { Environment } from "../options/environment.ts";
import type { AdminFacts } from "./facts.ts";
import { liveness, Readiness, type Verdict } from "./health.ts";
import { type HttpAnswer, PLAIN, plain } from "./http-answer.ts";
import type { HttpRequest } from "./http-reader.ts";
import { type HttpListening, HttpServer, makeConnectionCounts } from "./http-server.ts";
import { makeRegistry } from "./metrics.ts";
import { paced } from "./paced.ts";

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

/** Renders of metrics and page begin at most this often: whoever scrapes in a loop takes nothing from the others. */
const RENDER_INTERVAL_MS = 100;

const READING = "GET, HEAD";
const PAGE = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
};

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
  const page = paced(async () => {
    const [{ pageFacts }, { renderPage }] = await Promise.all([import("./facts.ts"), import("./page.ts")]);
    return renderPage(await pageFacts(facts, env));
  }, RENDER_INTERVAL_MS);

  const paths: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>> = {
    "/livez": () => health(liveness(facts.tables)),
    "/readyz": async () => health(await readiness.check()),
    "/metrics": async () => metrics(await scrape(), registry.contentType),
    "/": async () => ({ status: 200, headers: PAGE, body: await page() }),
  };
  const answer = ({ method, path }: HttpRequest): HttpAnswer | Promise<HttpAnswer> => {
    // Of the server itself, and not of one of its answers: a balancer's plainest check is OPTIONS / HTTP/1.0.
    if (method === "OPTIONS" && (path === "/" || path === "*")) return options();
    const read = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (read === undefined) return plain(404, "not found");
    if (method !== "GET" && method !== "HEAD") return plain(405, "only GET and HEAD", { allow: READING });
    return read();
  };

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

function health({ ok, text }: Verdict): HttpAnswer {
  return plain(ok ? 200 : 503, text);
}

function metrics(body: string, contentType: string): HttpAnswer {
  return { status: 200, headers: { ...PLAIN, "content-type": contentType }, body };
}

function options(): HttpAnswer {
  return { status: 204, headers: { allow: `${READING}, OPTIONS` }, body: "" };
}
