import type { MeshResult } from "../../diagnose/mesh/result.ts";
import { encodedOnce } from "../encoded-once.ts";
import type { Verdict } from "../health.ts";
import { type HttpAnswer, plain } from "../http-answer.ts";
import type { Answerer } from "../http-connection.ts";
import { paced } from "../paced.ts";
import { pageWhenAsked } from "../page-when-asked.ts";
import { answererOf, healthAnswer, metricsAnswer } from "../routes.ts";
import type { ProberAbout } from "./page.ts";

/** Renders begin at most so often: one who asks in a loop takes nothing from the others. */
const RENDER_INTERVAL_MS = 100;

/** Rounds over all members begin at most so often: many who look at the matrix are one reader to the members. */
const ROUND_INTERVAL_MS = 1000;

const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

/** What a prober's admin port tells. */
export interface ProberSays {
  live(): Verdict;
  ready(): Verdict;
  readonly registry: { metrics(): Promise<string>; readonly contentType: string };
  ownRow(): MeshResult;
  /** Asks every member for its row first. */
  matrix(): Promise<MeshResult>;
  /** For the page. */
  readonly about: Omit<ProberAbout, "ready">;
}

/** Health, metrics, the own row, the matrix, and the page that shows it. */
export function proberAnswerer(says: ProberSays): Answerer {
  const { live, ready, registry, ownRow, matrix, about } = says;
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  const own = paced(async () => ownRow(), RENDER_INTERVAL_MS);
  const all = paced(matrix, ROUND_INTERVAL_MS);
  const results: Readonly<Record<string, () => Promise<MeshResult>>> = { "": own, "scope=all": all };
  const json = encodedOnce<MeshResult>((result) => `${JSON.stringify(result)}\n`);
  const page = pageWhenAsked(async () => {
    const { proberPage } = await import("./page.ts");
    return proberPage({ ...about, ready }, (scope) => (scope === "all" ? all() : own()));
  });
  return answererOf({
    ...page,
    "/livez": () => healthAnswer(live()),
    "/readyz": () => healthAnswer(ready()),
    "/metrics": async () => metricsAnswer(await scrape(), registry.contentType),
    "/mesh.json": async ({ query }): Promise<HttpAnswer> => {
      const result = Object.hasOwn(results, query) ? results[query] : undefined;
      if (result === undefined)
        return plain(400, `?${query} is not allowed; allowed: ?scope=all, or nothing`);
      return { status: 200, headers: JSON_HEADERS, body: [json.bytes(await result())] };
    },
  });
}
