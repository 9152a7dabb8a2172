import type { MeshResult } from "../../diagnose/mesh/result.ts";
import { cached } from "../cached.ts";
import type { Verdict } from "../health.ts";
import type { Answerer } from "../http-connection.ts";
import { paced } from "../paced.ts";
import { pageWhenAsked } from "../page-when-asked.ts";
import { answererOf, healthAnswer, metricsAnswer } from "../routes.ts";
import type { ProberAbout } from "./page.ts";

/** Renders begin at most so often: one who asks in a loop takes nothing from the others. */
const RENDER_INTERVAL_MS = 100;

/** How old a matrix may be: many who look at it are one reader to the members. */
const MATRIX_AGE_MS = 1000;

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

/** Health, metrics, and the page with what it shows: the own row and the matrix. */
export function proberAnswerer({ live, ready, registry, ownRow, matrix, about }: ProberSays): Answerer {
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  const own = paced(async () => ownRow(), RENDER_INTERVAL_MS);
  const all = cached(matrix, { freshMs: MATRIX_AGE_MS, staleMs: MATRIX_AGE_MS });
  const page = pageWhenAsked(async () => {
    const { proberPage } = await import("./page.ts");
    return proberPage({ ...about, ready }, (scope) => (scope === "all" ? all() : own()));
  });
  return answererOf({
    ...page,
    "/livez": () => healthAnswer(live()),
    "/readyz": () => healthAnswer(ready()),
    "/metrics": async () => metricsAnswer(await scrape(), registry.contentType),
  });
}
