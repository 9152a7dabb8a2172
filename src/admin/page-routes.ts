import type { MeshResult } from "../diagnose/mesh/result.ts";
import { noMatrix, pageAround } from "../page/document.ts";
import type { PageFacts, SelfFacts } from "../page/facts.ts";
import { matrixHtml } from "../page/matrix.ts";
import { encodedOnce } from "./encoded-once.ts";
import { type HttpAnswer, plain } from "./http-answer.ts";
import { paced } from "./paced.ts";
import { type PagePath, SELF_PATH } from "./page-paths.ts";
import type { Route } from "./routes.ts";

/** Why there is no mesh to show, in words. */
export class NoMesh {
  constructor(readonly why: string) {}
}

/** The member's own row, or the whole matrix. The same object is the same result. */
export type MeshSource = (scope: "own" | "all") => Promise<MeshResult | NoMesh>;

/** Whose page it is. */
export interface PageSource {
  /** Gathers all that the page shows. */
  facts(): Promise<PageFacts>;
  /** What it says of itself to other pages. Nobody is asked for it. */
  self(): Promise<SelfFacts>;
  /** Null where there is no prober. */
  readonly mesh: MeshSource | null;
}

export type PageRoutes = Readonly<Record<PagePath, Route>>;

/** Facts are gathered at most this often: one who asks in a loop takes nothing from the others. */
const GATHER_INTERVAL_MS = 100;

/**
 * The page loads from its own server what it needs and nothing else, runs no script that stands in it, and is shown
 * in no other page: a name that came from outside can do no harm, even if it were not escaped.
 */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:", // the empty icon, and what a style draws
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const SAFE = {
  "cache-control": "no-store",
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

const JSON_TYPE = "application/json";

/** The page and all that belongs to it, of a server or of a prober. */
export function pageRoutes({ facts, self, mesh }: PageSource): PageRoutes {
  const gather = paced(facts, GATHER_INTERVAL_MS);
  const selfNow = paced(self, GATHER_INTERVAL_MS);
  const json = encodedOnce<object>((value) => JSON.stringify(value));
  const drawn = encodedOnce<MeshResult>((result) => matrixHtml(result));
  const matrix = async (): Promise<Uint8Array> => {
    const result = await mesh?.("all");
    if (result === undefined) return NOTHING;
    return result instanceof NoMesh ? Buffer.from(noMatrix(result.why)) : drawn.bytes(result);
  };
  return {
    "/": async ({ host }) => {
      const [now, drawing] = await Promise.all([gather(), matrix()]);
      const [before, after] = pageAround(now, host, drawing.length > 0);
      return safe("text/html; charset=utf-8", Buffer.from(before), drawing, Buffer.from(after));
    },
    "/page.json": async () => safe(JSON_TYPE, json.bytes(await gather())),
    [SELF_PATH]: async () => safe(JSON_TYPE, json.bytes(await selfNow())),
    "/page.js": async () => asset((await import("./assets.ts")).PAGE_SCRIPT),
    "/page.css": async () => asset((await import("./assets.ts")).PAGE_STYLE),
    "/mesh.json": async ({ query }) => {
      const scope = query === "" ? "own" : query === "scope=all" ? "all" : null;
      if (mesh === null) return plain(404, "no mesh here: --pod-admin-ports names no container mesh");
      if (scope === null) return plain(400, `?${query} is not allowed; allowed: ?scope=all, or nothing`);
      const result = await mesh(scope);
      return result instanceof NoMesh ? plain(503, result.why) : safe(JSON_TYPE, json.bytes(result));
    },
  };
}

const NOTHING = new Uint8Array(0);

function safe(contentType: string, ...body: Uint8Array[]): HttpAnswer {
  return { status: 200, headers: { ...SAFE, "content-type": contentType }, body };
}

const assets = encodedOnce<{ readonly contentType: string; readonly body: string }>(({ body }) => body);

function asset(file: { readonly contentType: string; readonly body: string }): HttpAnswer {
  return safe(file.contentType, assets.bytes(file));
}
