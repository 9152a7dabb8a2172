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

/** The own row is cheap, and every matrix of the fleet waits for it. */
const ROW_INTERVAL_MS = 50;

/**
 * How old a matrix may be: many who look at it are one reader to the members. Two rounds (one that began just before a
 * change, and the next one) must be over in half an interval: with the half second of a probe's deadline and the two
 * intervals of two probes, what happens is seen within three. A large fleet's rounds cost more, and are rarer.
 */
const MATRIX_AGE = { minMs: 200, msOfAMember: 2, maxMs: 1000 };

/** What a prober's admin port tells. */
export interface ProberSays {
  live(): Verdict;
  ready(): Verdict;
  readonly registry: { metrics(): Promise<string>; readonly contentType: string };
  ownRow(): MeshResult;
  /** Members but this one: how many a matrix asks. */
  othersCount(): number;
  /** Asks every member for its row first. */
  matrix(): Promise<MeshResult>;
  /** For the page. */
  readonly about: Omit<ProberAbout, "ready">;
}

/** Health, metrics, and the page with what it shows: the own row and the matrix. */
export function proberAnswerer({
  live,
  ready,
  registry,
  ownRow,
  matrix,
  othersCount,
  about,
}: ProberSays): Answerer {
  const scrape = paced(() => registry.metrics(), RENDER_INTERVAL_MS);
  const own = paced(async () => ownRow(), ROW_INTERVAL_MS);
  const ageMs = (): number => matrixAgeMs(othersCount());
  const all = cached(matrix, {
    get freshMs() {
      return ageMs();
    },
    get staleMs() {
      return ageMs();
    },
  });
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

/** How old a matrix may be for which so many members are asked, ms. */
export function matrixAgeMs(others: number): number {
  const { minMs, msOfAMember, maxMs } = MATRIX_AGE;
  return Math.min(maxMs, Math.max(minMs, others * msOfAMember));
}
