import { FAULTS } from "../generator/job.ts";
import type { CellResult } from "../run/types.ts";

const WIDTH = 460;
const HEIGHT = 260;
const LEFT = 62;
const BOTTOM = 44;
const TOP = 34;
const RIGHT = 16;

/** One line of a chart: points of sessions and a figure. */
interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [number, number])[];
}

/** What a sweep over session counts showed, as a section of the results. */
export function scaleSection(results: readonly CellResult[], command: string): string {
  const rows = results.map((result) => {
    const { cell, serverCpuMicros, rssPerSession, idleCpu } = result;
    const inexact = FAULTS.reduce((sum, fault) => sum + result[fault], 0);
    const cost = cell.mode === "idle" ? "-" : serverCpuMicros?.toFixed(2);
    const memory = rssPerSession === null ? "-" : `${rssPerSession.toFixed(0)}`;
    const idle = idleCpu === null ? "-" : `${(idleCpu * 100).toFixed(2)} %`;
    return `| ${cell.protocol} | ${cell.connections.toLocaleString("en-US")} | ${cost} | ${memory} | ${idle} | ${inexact} |`;
  });
  return `## As sessions grow

Made by \`${command}\`.

![Cost per message, per session and at idle](RESULTS-scale.svg)

| protocol | sessions | server CPU, us per message | memory, bytes per idle session | CPU of all while idle | not exact |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

/** Three charts side by side: CPU per message, memory per idle session, idle CPU, by sessions. */
export function scaleChart(results: readonly CellResult[]): string {
  const line = (
    protocol: "tcp" | "udp",
    colour: string,
    figure: (result: CellResult) => number | null,
  ): Line => ({
    name: protocol.toUpperCase(),
    colour,
    points: results
      .filter((result) => result.cell.protocol === protocol && figure(result) !== null)
      .map((result) => [result.cell.connections, figure(result)!] as const),
  });
  const busy = ({ cell, serverCpuMicros }: CellResult): number | null =>
    cell.mode === "idle" ? null : serverCpuMicros;
  const charts = [
    draw("CPU per message (us)", [line("tcp", "#0b6e4f", busy), line("udp", "#3a86ff", busy)]),
    draw("memory per idle session (bytes)", [line("tcp", "#0b6e4f", ({ rssPerSession }) => rssPerSession)]),
    draw("CPU of all while idle (% of a core)", [
      line("tcp", "#0b6e4f", ({ idleCpu }) => (idleCpu === null ? null : idleCpu * 100)),
    ]),
  ];
  const placed = charts.map((chart, at) => `<g transform="translate(${at * WIDTH} 0)">${chart}</g>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH * 3}" height="${HEIGHT}" font-family="sans-serif" font-size="11"><title>Cost per message, per session and at idle, by sessions</title><rect width="100%" height="100%" fill="white"/>${placed.join("")}</svg>\n`;
}

function draw(title: string, lines: readonly Line[]): string {
  const points = lines.flatMap(({ points: own }) => own);
  const top = Math.max(...points.map(([, figure]) => figure), 1e-9) * 1.15;
  const [least, most] = [Math.min(...points.map(([n]) => n)), Math.max(...points.map(([n]) => n))];
  const span = Math.log(most / least) || 1;
  const x = (sessions: number): number => LEFT + (Math.log(sessions / least) / span) * (WIDTH - LEFT - RIGHT);
  const y = (figure: number): number =>
    HEIGHT - BOTTOM - (Math.max(0, figure) / top) * (HEIGHT - BOTTOM - TOP);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(top * share).toFixed(1);
    const label = (top * share).toPrecision(2);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${Number(label)}</text>`;
  });
  const ticks = [...new Set(points.map(([n]) => n))].map((n) => {
    return `<text x="${x(n).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${n >= 1000 ? `${n / 1000}k` : n}</text>`;
  });
  const drawn = lines.map(({ name, colour, points: own }, at) => {
    const path = own.map(([n, figure]) => `${x(n).toFixed(1)},${y(figure).toFixed(1)}`).join(" ");
    const dots = own.map(
      ([n, f]) => `<circle cx="${x(n).toFixed(1)}" cy="${y(f).toFixed(1)}" r="3" fill="${colour}"/>`,
    );
    const legend = `<text x="${WIDTH - RIGHT - 40 * at}" y="${TOP - 4}" text-anchor="end" fill="${colour}">${name}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join("")}${legend}`;
  });
  const axis = `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">sessions</text>`;
  return `<text x="${LEFT}" y="16" font-weight="bold">${title}</text>${grid.join("")}${ticks.join("")}${axis}${drawn.join("")}`;
}
