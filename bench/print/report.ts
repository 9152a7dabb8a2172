import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release } from "node:os";
import type { CellResult } from "../run/types.ts";
import { describeCell } from "./table.ts";

/** What the page draws of one cell; numbers only, so that the page needs no more than this. */
export interface Drawn {
  readonly name: string;
  /** Share of messages that took longer than the time below, as 1 in so many: 1, 10, 100. */
  readonly oneIn: readonly number[];
  readonly micros: readonly number[];
  readonly seconds: readonly number[];
  readonly perSecond: readonly number[];
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
    perSecond: samples.map(({ messagesPerSecond }) => messagesPerSecond),
    cpuPercent: samples.map(({ serverCpu }) => (serverCpu === null ? null : serverCpu * 100)),
    rssMb: samples.map(({ serverRssMb }) => serverRssMb),
  };
}

const STYLE = `
:root { color-scheme: light; font: 14px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 2.2rem 0 .3rem; }
p { margin: .2rem 0 .8rem; color: #52606d; }
.wide { overflow-x: auto; }
.wide table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide th, .wide td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e4e7eb; }
.wide :is(th, td):nth-child(-n+2) { text-align: left; }
td.wrong { background: #fde8e8; color: #9b1c1c; font-weight: 600; }
.uplot, .u-wrap { max-width: 100%; }
.u-legend { font-size: 12px; text-align: left !important; }
`;

/**
 * A report of a run: one file that needs nothing else. The table, the curve of round trips, and throughput, server CPU
 * and server memory over time.
 * @param rows the run's table, heads first, as text
 */
export function renderReport(results: readonly CellResult[], rows: readonly (readonly string[])[]): string {
  const data = JSON.stringify(results.map(drawn)).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Echo bench report</title>
<style>${libraryFile("uPlot.min.css")}${STYLE}</style>
</head>
<body>
<h1>Echo bench report</h1>
<p>${escapeHtml(`${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC; ${machine()}`)}</p>
<div class="wide"><table>${htmlRows(rows)}</table></div>
<h2>Round trip by percentile</h2>
<p>How long the slowest messages took: at 99 %, one message in a hundred took longer. Both axes are logarithmic.</p>
<div id="latency"></div>
<h2>Throughput over time</h2>
<div id="throughput"></div>
<h2>Server CPU over time</h2>
<div id="cpu"></div>
<h2>Server memory over time</h2>
<div id="rss"></div>
<script>${libraryFile("uPlot.iife.min.js")}</script>
<script id="data" type="application/json">${data}</script>
<script>${readFileSync(new URL("./report-page.js", import.meta.url), "utf8")}</script>
</body>
</html>
`;
}

function htmlRows([heads = [], ...rows]: readonly (readonly string[])[]): string {
  const faults = new Set(["errors", "lost", "dupl.", "reord.", "corrupt"]);
  const wrong = (column: number, text: string): boolean => faults.has(heads[column]!) && text !== "0";
  const head = heads.map((text) => `<th>${escapeHtml(text)}</th>`).join("");
  const body = rows.map((row) =>
    row.map((text, at) => `<td${wrong(at, text) ? ' class="wrong"' : ""}>${escapeHtml(text)}</td>`).join(""),
  );
  return `<tr>${head}</tr>${body.map((cells) => `<tr>${cells}</tr>`).join("\n")}`;
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
