import { byteCount, table } from "../html.ts";
import { FIGURES, type Figure, type History, type Protocol } from "./history.ts";

/** What the plots show, in words and figures: for who does not see them. */

export const TITLES: Readonly<Record<Figure, string>> = {
  active: "Sessions now",
  opened: "New sessions a second",
  refused: "Refused a second",
  receivedBytes: "Received a second",
  sentBytes: "Sent a second",
};

/** `12`, `0.5`, `1.2 k`, `1.5 MiB`; a rate that is not 0 is not shown as 0. */
export function figureText(figure: Figure, value: number): string {
  if (figure === "receivedBytes" || figure === "sentBytes") return byteCount(value);
  if (value >= 10_000) return `${Number((value / 1000).toPrecision(3))} k`;
  return String(value === 0 || value >= 10 ? Math.round(value) : Number(value.toPrecision(2)));
}

/** `TCP 12, at most 40` */
export function inWords(history: History, protocol: Protocol, figure: Figure): string {
  const values = history.values(protocol, figure);
  const measured = values.filter((value) => value !== null);
  if (measured.length === 0) return `${protocol} not measured yet`;
  const now = values.at(-1) ?? null;
  const most = figureText(figure, Math.max(...measured));
  return `${protocol} ${now === null ? "not measured now" : figureText(figure, now)}, at most ${most}`;
}

const MINUTE_S = 60;

/** All plots as one table, a row for each minute, the latest first: means of what was measured. */
export function minuteTable(history: History, nowS: number): string {
  const series = history.protocols.flatMap((protocol) =>
    FIGURES.map((figure) => ({ protocol, figure, values: history.values(protocol, figure) })),
  );
  const columns = series.map(({ protocol, figure }) => ({
    head: `${protocol} ${TITLES[figure].toLowerCase()}`,
    numbers: true as const,
  }));
  const ages = history.times.map((atS) => Math.floor(Math.max(0, nowS - atS) / MINUTE_S));
  const rows = [...new Set(ages)]
    .sort((a, b) => a - b)
    .map((age) => [
      age === 0 ? "last minute" : `${age} min before`,
      ...series.map(({ figure, values }) => {
        const mean = meanOf(values.filter((_, at) => ages[at] === age));
        return mean === null ? "not measured" : figureText(figure, mean);
      }),
    ]);
  return table("Rates by minute", [{ head: "When" }, ...columns], rows);
}

function meanOf(values: readonly (number | null)[]): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : measured.reduce((sum, value) => sum + value, 0) / measured.length;
}
