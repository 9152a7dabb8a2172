import type { Verdict } from "../health.ts";
import type { Answerer } from "../http-connection.ts";
import { paced } from "../paced.ts";
import type { PageSource } from "../page-routes.ts";
import { pageWhenAsked } from "../page-when-asked.ts";
import { answererOf, healthAnswer, metricsAnswer } from "../routes.ts";

/** Scrapes are rendered at most so often: one who asks in a loop takes nothing from the others. */
const RENDER_INTERVAL_MS = 100;

/** What a prober's admin port tells. */
export interface ProberSays {
  live(): Verdict;
  ready(): Verdict;
  readonly registry: { metrics(): Promise<string>; readonly contentType: string };
  page(): Promise<PageSource>;
}

/** Health, metrics, the page, the own row and the matrix. */
export function proberAnswerer({ live, ready, registry, page }: ProberSays): Answerer {
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  return answererOf({
    "/livez": () => healthAnswer(live()),
    "/readyz": () => healthAnswer(ready()),
    "/metrics": async () => metricsAnswer(await scrape(), registry.contentType),
    ...pageWhenAsked(page),
  });
}
