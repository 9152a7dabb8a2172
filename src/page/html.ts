/** HTML of plain data. Whatever is not made here by these functions goes through `escapeHtml`. */

/**
 * A part of the page: `<section id="ID-section">` with the title in `<h2 id="ID-title">`, and in it `<div id="ID">`,
 * whose inner HTML is `html`. The section is hidden where that is "".
 */
export interface Section {
  readonly id: string;
  /** Text; "" for the summary, which has the page's own title in it. */
  readonly title: string;
  readonly html: string;
}

/** Text as the content of an element or of a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function code(text: string): string {
  return `<code>${escapeHtml(text)}</code>`;
}

export function paragraph(html: string): string {
  return `<p>${html}</p>\n`;
}

/** Cells of HTML, in the order of the heads; the first names the row. */
export type Row = readonly string[];

/** A column: its head as text, and whether it has numbers, which stand to the right. */
export interface Column {
  readonly head: string;
  readonly numbers?: true;
}

/**
 * A table that scrolls by itself where the window is narrower: a group, since the landmark is the part that it stands in.
 * @param label what it shows, for who does not see it
 */
export function table(label: string, columns: readonly Column[], rows: readonly Row[]): string {
  const kind = (at: number): string => (columns[at]?.numbers ? ' class="n"' : "");
  const heads = columns.map(({ head }, at) => `<th scope="col"${kind(at)}>${escapeHtml(head)}</th>`).join("");
  const lines = rows.map((cells) => {
    const tags = cells.map((html, at) =>
      at === 0 ? `<th scope="row"${kind(at)}>${html}</th>` : `<td${kind(at)}>${html}</td>`,
    );
    return `<tr>${tags.join("")}</tr>\n`;
  });
  return `<div class="scroll" role="group" aria-label="${escapeHtml(label)}" tabindex="0"><table>
<thead><tr>${heads}</tr></thead>
<tbody>
${lines.join("")}</tbody></table></div>
`;
}

/** Names and what they stand for. @param pairs text and HTML */
export function list(pairs: readonly (readonly [string, string])[]): string {
  const items = pairs.map(([name, html]) => `<div><dt>${escapeHtml(name)}</dt><dd>${html}</dd></div>\n`);
  return `<dl>\n${items.join("")}</dl>\n`;
}

/** What is there to be unfolded, without a script too. */
export function folded(id: string, summary: string, html: string): string {
  return `<details id="${escapeHtml(id)}"><summary>${escapeHtml(summary)}</summary>\n${html}</details>\n`;
}

/** `1,234,567`, without the megabytes that the locale tables take. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.5 MiB` */
export function byteCount(value: number): string {
  let unit = 0;
  let rest = value;
  for (; rest >= 1024 && unit < UNITS.length - 1; unit++) rest /= 1024;
  return `${unit === 0 ? count(rest) : rest.toFixed(1)} ${UNITS[unit]}`;
}

/** A length of time by its two largest units: `2 d 3 h`, `4 min 5 s`, `0 s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** How long before `now` that was, and the moment in UTC; both ISO 8601. */
export function moment(at: string, now: string): string {
  const sameDay = at.slice(0, 10) === now.slice(0, 10);
  const clock = at.slice(sameDay ? 11 : 0, 19).replace("T", " ");
  const agoMs = Date.parse(now) - Date.parse(at);
  const ago = Number.isNaN(agoMs) ? "" : `${span(agoMs)} ago, `;
  return `${ago}<time datetime="${escapeHtml(at)}">${escapeHtml(clock)}</time>`;
}
