import { pageAround } from "../../src/page/document.ts";
import type { PageFacts } from "../../src/page/facts.ts";

/** The whole page, as admin puts it together. @param matrix "" where there is none */
export function renderPage(facts: PageFacts, host: string | null, matrix: string): string {
  const [before, after] = pageAround(facts, host, matrix !== "");
  return before + matrix + after;
}
