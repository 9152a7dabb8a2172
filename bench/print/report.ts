import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release } from "node:os";
import type { CellResult } from "../run/types.ts";
import { exactness } from "../run/verdict.ts";
import { describeCell, tables, verdictLines } from "./table.ts";

/** What the page draws of one cell; numbers only, so that the page needs no more than this. */
export interface Drawn {
  readonly name: string;
  /** Share of messages that took longer than the time below, as 1 in so many: 1, 10, 100. */
  readonly oneIn: readonly number[];
  readonly micros: readonly number[];
  readonly seconds: readonly number[];
  /** Null where sessions say nothing. */
  readonly perSecond: readonly (number | null)[];
  /** Of one core, in percent; null where the server is elsewhere. */
  readonly cpuPercent: readonly (number | null)[];
  readonly rssMb: readonly (number | null)[];
}

/** The part of a report that is data: read again by `report-page.js` in the browser. */
export function drawn(result: CellResult): Drawn {
  const { cell, curve, samples } = result;
  return {
    name: `${cell.scenario}: ${describeCell(cell)}`,
    oneIn: curve.map(([percentile]) => 100 / (100 - percentile)),
    micros: curve.map(([, micros]) => micros),
    seconds: samples.map(({ at }) => at),
    perSecond: samples.map(({ messagesPerSecond }) => (cell.mode === "idle" ? null : messagesPerSecond)),
    cpuPercent: samples.map(({ serverCpu }) => (serverCpu === null ? null : serverCpu * 100)),
    rssMb: samples.map(({ serverRssMb }) => serverRssMb),
  };
}

/** Type and colours are those of the server's own page (src/admin/page.ts). */
const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #666; --good: #1a7f37; --bad: #b42318; --open: #9a5b00;
  --wrong: #b4231822; --text: #1c2733; }
@media (prefers-color-scheme: dark) { :root { --soft: #9aa4ae; --text: #e6e9ec; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .3rem; }
p { margin: .2rem 0; color: var(--soft); overflow-wrap: anywhere; }
code { font-size: .95em; overflow-wrap: anywhere; }
ul { margin: .5rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
.state { font-size: .8rem; padding: .1rem .6rem; border-radius: 1rem; color: #fff; vertical-align: middle; white-space: nowrap; }
.exact { background: var(--good); } .inexact { background: var(--bad); } .unmeasured { background: var(--open); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 1rem 0; font-size: .9rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-top: 1px solid var(--line); vertical-align: top; }
th { font-weight: normal; color: var(--soft); }
:is(th, td):nth-child(-n+2) { text-align: left; } :is(th, td):last-child { padding-right: .3rem; }
td.wrong { background: var(--wrong); color: var(--bad); font-weight: 600; }
@media (prefers-color-scheme: dark) { td.wrong { color: #ff8f85; } }
@media (max-width: 56rem) {
  thead { display: none; } table, tbody, tr, td { display: block; }
  tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  td, td:nth-child(-n+2) { border: 0; padding: .1rem .3rem; display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
  td::before { content: attr(data-head); color: var(--soft); text-align: left; }
}
.plot { min-width: 0; } .uplot, .u-wrap { max-width: 100%; }
.uplot .u-legend { font-size: .8rem; text-align: left; margin: .3rem 0 0; display: flex; flex-wrap: wrap; gap: 0 1rem; }
.uplot .u-legend tr, .uplot .u-legend th { display: block; padding: 0; border: 0; color: inherit; }
.uplot .u-legend tbody { display: contents; }
`;

/**
 * A report of a run: one file that needs nothing else. The verdict, the tables, the curve of round trips, and
 * throughput, server CPU and server memory over time.
 * @param failed the bounds of `--fail-if` that were crossed, in words
 * @param command what made it
 */
export function renderReport(
  results: readonly CellResult[],
  failed: readonly string[],
  command: string,
): string {
  const data = JSON.stringify(results.map(drawn)).replaceAll("<", "\\u003c");
  const [head, ...more] = verdictLines(results);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Echo bench report</title>
<style>${libraryFile("uPlot.min.css")}${STYLE}</style>
</head>
<body>
<h1>Echo bench ${badge(results, failed)}</h1>
<p><code>${escapeHtml(command)}</code></p>
<p>${escapeHtml(`${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC; ${machine()}`)}</p>
<ul>${[head!, ...more, ...failed.map((line) => `failed: ${line}`)].map((line) => `<li>${escapeHtml(line.trim())}</li>`).join("\n")}</ul>
${tables(results).map(htmlTable).join("\n")}
<h2>Round trip by percentile</h2>
<p>How long the slowest messages took: at 99 %, one message in a hundred took longer. Both axes are logarithmic.</p>
<div class="plot" id="latency"></div>
<h2>Throughput over time</h2>
<div class="plot" id="throughput"></div>
<h2>Server CPU over time</h2>
<div class="plot" id="cpu"></div>
<h2>Server memory over time</h2>
<div class="plot" id="rss"></div>
<script>${libraryFile("uPlot.iife.min.js")}</script>
<script id="data" type="application/json">${data}</script>
<script>${readFileSync(new URL("./report-page.js", import.meta.url), "utf8")}</script>
</body>
</html>
`;
}

function badge(results: readonly CellResult[], failed: readonly string[]): string {
  const exact = exactness(results);
  const state = exact === true ? "exact" : exact === false ? "inexact" : "unmeasured";
  const words = { exact: "exact", inexact: "not exact", unmeasured: "not measured" }[state];
  const crossed = failed.length > 0 ? ' <span class="state inexact">bounds crossed</span>' : "";
  return `<span class="state ${state}">${words}</span>${crossed}`;
}

const FAULT_HEADS = new Set(["errors", "lost", "dupl.", "reord.", "corrupt", "foreign"]);

/** Each cell names its column, for where the table is too wide to be one. */
function htmlTable([heads = [], ...rows]: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th scope="col">${escapeHtml(text)}</th>`).join("");
  const cell = (text: string, column: number): string => {
    const wrong = FAULT_HEADS.has(heads[column]!) && text !== "0" ? ' class="wrong"' : "";
    return `<td${wrong} data-head="${escapeHtml(heads[column]!)}">${escapeHtml(text)}</td>`;
  };
  const body = rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("\n");
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

/** A file of uPlot, to be put into a page. */
function libraryFile(name: string): string {
  const path = createRequire(import.meta.url).resolve(`uplot/dist/${name}`);
  return readFileSync(path, "utf8").replaceAll("</script", "<\\/script");
}

function machine(): string {
  return `${cpus().length} x ${cpus()[0]?.model.trim() ?? "CPU"}, Linux ${release()}, Bun ${Bun.version}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
