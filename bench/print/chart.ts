import { type Comparison, ratioToFloor, serverNames } from "./comparison.ts";
import { describeCell } from "./table.ts";

const COLOURS = [
  "#0b6e4f",
  "#8d99ae",
  "#3a86ff",
  "#fb8500",
  "#e76f51",
  "#9b5de5",
  "#6a994e",
  "#bc4749",
  "#457b9d",
  "#b08968",
];
const WIDTH = 960;
const LEFT = 250;
const RIGHT = 60;
const BAR = 11;
const GAP = 16;
const TOP = 70;

/** Bars beyond this many times the floor are cut off, and say their figure. */
const RATIO_MAX = 4;

/** Server CPU per message over the floor's, as bars by cell and server: one SVG. */
export function chart(comparison: Comparison): string {
  const names = serverNames(comparison).filter((name) =>
    comparison.cells.some(({ figures }) => figures.has(name)),
  );
  const scale = (ratio: number): number =>
    LEFT + (Math.min(ratio, RATIO_MAX) / RATIO_MAX) * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = TOP;
  for (const compared of comparison.cells) {
    const top = y;
    for (const [at, name] of names.entries()) {
      const ratio = ratioToFloor(compared, name, comparison.floor);
      if (Number.isNaN(ratio)) continue;
      const end = scale(ratio);
      const colour = COLOURS[at % COLOURS.length];
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${(end - LEFT).toFixed(1)}" height="${BAR - 2}" fill="${colour}"/>`,
      );
      parts.push(text(end + 4, y + BAR - 3, ratio.toFixed(2), "start", 9));
      y += BAR;
    }
    parts.push(
      text(
        LEFT - 8,
        (top + y) / 2 + 4,
        `${compared.cell.scenario}: ${describeCell(compared.cell)}`,
        "end",
        11,
      ),
    );
    y += GAP;
  }
  const grid = Array.from({ length: RATIO_MAX + 1 }, (_, ratio) => {
    const line = `<line x1="${scale(ratio)}" x2="${scale(ratio)}" y1="${TOP - 6}" y2="${y - GAP + 6}" stroke="#ccc"/>`;
    return line + text(scale(ratio), y + 6, `${ratio}x`, "middle", 10);
  });
  const legend = names.map((name, at) => {
    const x = 20 + (at % 6) * 155;
    const top = 30 + Math.floor(at / 6) * 16;
    return `<rect x="${x}" y="${top - 8}" width="10" height="10" fill="${COLOURS[at % COLOURS.length]}"/>${text(x + 15, top + 1, name, "start", 11)}`;
  });
  const title = text(
    20,
    16,
    `Server CPU per message, times ${comparison.floor}'s (shorter is better)`,
    "start",
    13,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 16}" font-family="sans-serif"><title>Server CPU per message, times the floor</title><rect width="100%" height="100%" fill="white"/>${title}${legend.join("")}${grid.join("")}${parts.join("")}</svg>\n`;
}

function text(x: number, y: number, words: string, anchor: string, size: number): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="#222">${escaped}</text>`;
}
