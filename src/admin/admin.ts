import type { Server } from "bun";
import type { Environment } from "../config/environment.ts";
import type { BoundAddresses } from "../engine/loop.ts";
import { StartError } from "../errors.ts";
import type { LoopSettings } from "../rules/settings.ts";
import type { SharedTables } from "../rules/shared.ts";
import { endpointText } from "./endpoint.ts";
import { liveness, Readiness, type Verdict } from "./health.ts";
import { makeRegistry, type ProcessFacts } from "./metrics.ts";

/** What admin tells about. */
export interface AdminFacts extends ProcessFacts {
  readonly tables: SharedTables;
  readonly bound: BoundAddresses;
  readonly settings: LoopSettings;
}

/** Where admin listens. */
export interface AdminListening {
  readonly hosts: readonly string[];
  /** 0: any free one, the same for all hosts. */
  readonly port: number;
  readonly readinessTimeoutMs: number;
}

/** Admin HTTP, running. */
export interface Admin {
  /** `ip:port` of each listener. */
  readonly bound: readonly string[];
  stop(): Promise<void>;
}

const PATHS = ["/", "/livez", "/readyz", "/metrics"];
const PLAIN = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
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
  const registry = makeRegistry(facts.tables, facts, readiness);
  const scrape = shared(() => registry.metrics());
  const page = shared(async () => {
    const [{ pageFacts }, { renderPage }] = await Promise.all([import("./facts.ts"), import("./page.ts")]);
    return renderPage(await pageFacts(facts, env));
  });

  const answer = async (request: Request): Promise<Response> => {
    const path = pathOf(request);
    if (!PATHS.includes(path)) return new Response("not found\n", { status: 404, headers: PLAIN });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("only GET and HEAD\n", { status: 405, headers: { ...PLAIN, allow: "GET, HEAD" } });
    }
    if (path === "/livez") return health(liveness(facts.tables));
    if (path === "/readyz") return health(await readiness.check());
    if (path === "/") return new Response(await page(), { headers: PAGE });
    return new Response(await scrape(), { headers: { ...PLAIN, "content-type": registry.contentType } });
  };

  const servers = listen(listening, answer);
  void readiness.check(); // so that the first scrape has a verdict to tell
  return {
    bound: servers.map(({ hostname, port }) => endpointText({ hostname: hostname!, port: port! })),
    async stop() {
      readiness.close();
      await Promise.all(servers.map((server) => server.stop(true)));
    },
  };
}

function health({ ok, text }: Verdict): Response {
  return new Response(`${text}\n`, { status: ok ? 200 : 503, headers: PLAIN });
}

/** The path without its query, whatever else the request line and the Host header hold. */
function pathOf(request: Request): string {
  return URL.parse(request.url)?.pathname ?? "";
}

/** However many ask at once, the work is done once at a time and all get its result. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= work().finally(() => {
      running = null;
    });
    return running;
  };
}

type Answer = (request: Request) => Promise<Response>;

function listen({ hosts, port: wanted }: AdminListening, answer: Answer): Server<undefined>[] {
  const servers: Server<undefined>[] = [];
  let port = wanted;
  try {
    for (const host of hosts) {
      const server = listenOn(host, port, host === "::" && hosts.includes("0.0.0.0"), answer);
      servers.push(server);
      port = server.port!;
    }
    return servers;
  } catch (error) {
    for (const server of servers) void server.stop(true);
    throw error;
  }
}

function listenOn(hostname: string, port: number, ipv6Only: boolean, answer: Answer): Server<undefined> {
  try {
    return Bun.serve({
      hostname,
      port,
      ipv6Only,
      development: false,
      reusePort: false, // without development it is on unless forbidden, and a port in use goes unnoticed
      idleTimeout: 10, // seconds
      maxRequestBodySize: 1024, // no request has a body that is read
      fetch: answer,
      error: () => new Response("internal error\n", { status: 500, headers: PLAIN }),
    });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const why = WHY[code] ?? String(error);
    throw new StartError(`cannot listen on admin ${endpointText({ hostname, port })}: ${why}`);
  }
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "no permission to bind this port (below 1024: root or CAP_NET_BIND_SERVICE)",
  EADDRNOTAVAIL: "this host does not have that address",
};
