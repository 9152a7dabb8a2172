import type { MeshResult } from "../../diagnose/mesh/result.ts";
import type { Verdict } from "../health.ts";
import { type HttpAnswer, plain } from "../http-answer.ts";
import type { Answerer } from "../http-connection.ts";
import { paced } from "../paced.ts";
import { answererOf, healthAnswer, metricsAnswer } from "../routes.ts";

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
}

/** Health, metrics, the own row and the matrix. */
export function proberAnswerer({ live, ready, registry, ownRow, matrix }: ProberSays): Answerer {
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  const own = paced(async () => JSON.stringify(ownRow()), RENDER_INTERVAL_MS);
  const all = paced(async () => JSON.stringify(await matrix()), ROUND_INTERVAL_MS);
  const texts: Readonly<Record<string, () => Promise<string>>> = { "": own, "scope=all": all };
  return answererOf({
    "/livez": () => healthAnswer(live()),
    "/readyz": () => healthAnswer(ready()),
    "/metrics": async () => metricsAnswer(await scrape(), registry.contentType),
    "/mesh.json": async ({ query }): Promise<HttpAnswer> => {
      const text = Object.hasOwn(texts, query) ? texts[query] : undefined;
      if (text === undefined) return plain(400, `?${query} is not allowed; allowed: ?scope=all, or nothing`);
      return { status: 200, headers: JSON_HEADERS, body: `${await text()}\n` };
    },
  });
}
