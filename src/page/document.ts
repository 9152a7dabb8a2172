import type { PageFacts } from "./facts.ts";
import { escapeHtml, type Section } from "./html.ts";
import { MATRIX_ID, matrixBefore, sections } from "./sections.ts";

/** Without a script the page asks for itself again, every so many seconds. */
const REFRESH_S = 5;

/**
 * The page before and after the matrix, which may be many times as large as all else, and the same for everybody; whole
 * without a script. Everything else is asked for at this path's neighbours, so that it works behind a prefix too
 * (`kubectl proxy`).
 * @param host whom the client asked, unchecked
 */
export function pageAround(facts: PageFacts, host: string | null, hasMatrix: boolean): [string, string] {
  const parts = sections(facts, host);
  const at = parts.findIndex(({ id }) => id === matrixBefore(facts));
  const [start, end] = tagsOf({ id: MATRIX_ID, title: "Mesh", html: "" }, !hasMatrix);
  const [above, below] = [parts.slice(0, at), parts.slice(at)].map((some) => some.map(element).join(""));
  return [`${headOf(facts)}<main>\n${above}${start}`, `${end}${below}</main>\n${footOf(facts)}`];
}

function headOf({ name }: PageFacts): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(name)} - echo server</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
<noscript><meta http-equiv="refresh" content="${REFRESH_S}"></noscript>
</head>
<body>
`;
}

function footOf({ at, mesh }: PageFacts): string {
  return `<footer><p>For machines: <a href="metrics">metrics</a>, <a href="readyz">readyz</a>, <a href="livez">livez</a>,
<a href="page.json">page.json</a>${mesh ? `, <a href="mesh.json?scope=all">mesh.json</a>` : ""}.
As of <time id="as-of" datetime="${escapeHtml(at)}">${escapeHtml(at)}</time>.</p></footer>
</body></html>
`;
}

function element(section: Section): string {
  return tagsOf(section, section.html === "").join(section.html);
}

/** What stands before and after a part's own HTML. */
function tagsOf({ id, title }: Section, isHidden: boolean): [string, string] {
  const hidden = isHidden ? " hidden" : "";
  const [label, head] =
    title === ""
      ? ["", ""]
      : [` aria-labelledby="${id}-title"`, `<h2 id="${id}-title">${escapeHtml(title)}</h2>\n`];
  return [`<section id="${id}-section"${label}${hidden}>\n${head}<div id="${id}">`, "</div>\n</section>\n"];
}

/** In the matrix's place where it did not come. @param why in words */
export function noMatrix(why: string): string {
  return `<p role="status"><span class="state unknown">unknown</span> No matrix now: ${escapeHtml(why)}.</p>`;
}
