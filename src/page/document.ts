import type { PageFacts } from "./facts.ts";
import { escapeHtml, type Section } from "./html.ts";
import { MATRIX_ID, matrixBefore, sections } from "./sections.ts";

/** Without a script the page asks for itself again, every so many seconds. */
const REFRESH_S = 5;

/**
 * The page, whole without a script. Everything else is asked for at this path's neighbours, so that it works behind a
 * prefix too (`kubectl proxy`).
 * @param host whom the client asked, unchecked
 * @param matrix what `matrixHtml` makes of the mesh; "" where there is none
 */
export function renderPage(facts: PageFacts, host: string | null, matrix: string): string {
  const parts = sections(facts, host);
  const at = parts.findIndex(({ id }) => id === matrixBefore(facts));
  const shown = parts.toSpliced(at, 0, { id: MATRIX_ID, title: "Mesh", html: matrix }).map(element).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(facts.name)} - echo server</title>
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
<noscript><meta http-equiv="refresh" content="${REFRESH_S}"></noscript>
</head>
<body>
<main>
${shown}</main>
<footer><p>For machines: <a href="metrics">metrics</a>, <a href="readyz">readyz</a>, <a href="livez">livez</a>,
<a href="page.json">page.json</a>${facts.mesh ? `, <a href="mesh.json?scope=all">mesh.json</a>` : ""}.
As of <time id="as-of" datetime="${escapeHtml(facts.at)}">${escapeHtml(facts.at)}</time>.</p></footer>
</body></html>
`;
}

function element({ id, title, html }: Section): string {
  const hidden = html === "" ? " hidden" : "";
  const [label, head] =
    title === ""
      ? ["", ""]
      : [` aria-labelledby="${id}-title"`, `<h2 id="${id}-title">${escapeHtml(title)}</h2>\n`];
  return `<section id="${id}-section"${label}${hidden}>\n${head}<div id="${id}">${html}</div>\n</section>\n`;
}

/** In the matrix's place where it did not come. @param why in words */
export function noMatrix(why: string): string {
  return `<p role="status"><span class="state unknown">unknown</span> No matrix now: ${escapeHtml(why)}.</p>`;
}
