import type { PageFacts } from "./facts.ts";
import { fleetSection } from "./fleet.ts";
import type { Section } from "./html.ts";
import { commandsSection, containersSection, identitySection, summarySection } from "./pod.ts";
import { clientsSection, loopsSection, refusalsSection, sessionsSection } from "./traffic.ts";

/** The id of the part that the mesh stands in: `matrixHtml` makes its HTML, of `/mesh.json?scope=all`. */
export const MATRIX_ID = "matrix";

/**
 * All parts but the matrix, in their order, always the same ones: those with nothing to show have no HTML.
 * @param host by which the page was asked for (`location.host`, the Host field): links are made of it, and it may be
 *   anything; null: there are no links to other ports
 * @param path by which it was asked for, as the browser sees it: behind a proxy it may be another one than `/`
 */
export function sections(facts: PageFacts, host: string | null, path = "/"): Section[] {
  return [
    summarySection(facts),
    containersSection(facts, host, path),
    clientsSection(facts),
    sessionsSection(facts),
    refusalsSection(facts),
    loopsSection(facts),
    fleetSection(facts),
    commandsSection(facts),
    identitySection(facts),
  ];
}

/** Before which part the matrix stands: of a prober, which has no sessions of its own, it is what one comes to see. */
export function matrixBefore(facts: PageFacts): string {
  return facts.sessions.length === 0 ? "containers" : "commands";
}
