import type { MeshPair, MeshTimes } from "../diagnose/mesh/result.ts";
import { escapeHtml, span } from "./html.ts";
import { type MeshCell, stateOf } from "./mesh-view.ts";
import { lossText, memberText, msText, timeText } from "./mesh-words.ts";

/**
 * All that is known of a cell: what its popover holds.
 * @param at when the result was put together (ISO 8601)
 */
export function cellDetails({ from, to, pairs }: MeshCell, at: string): string {
  const heads = pairs.map(({ protocol }) => `<th scope="col">${protocol.toUpperCase()}</th>`).join("");
  const lines = FIELDS.map(([label, value]) => {
    const cells = pairs.map((pair) => `<td>${value(pair, at)}</td>`).join("");
    return `<tr><th scope="row">${label}</th>${cells}</tr>`;
  });
  const whys = pairs
    .filter(({ why }) => why !== null)
    .map(({ protocol, why }) => whyHtml(protocol.toUpperCase(), why!));
  return `<h3>${escapeHtml(memberText(from))} <span aria-hidden="true">→</span><span class="sr">to</span> ${escapeHtml(memberText(to))}</h3>
${whys.join("")}<table><thead><tr><td></td>${heads}</tr></thead><tbody>${lines.join("")}</tbody></table>
<p class="note">Figures are of the last minute.</p>`;
}

/** Of which protocol that is, once: some reasons begin with it. */
function whyHtml(protocol: string, why: string): string {
  const rest = why.startsWith(`${protocol}: `) ? why.slice(protocol.length + 2) : why;
  return `<p class="why"><b>${protocol}</b> ${escapeHtml(rest)}</p>`;
}

/** Label and text; what is not known is said so, and never 0. */
const FIELDS: readonly (readonly [string, (pair: MeshPair, at: string) => string])[] = [
  ["State", (pair) => `<span class="way ${stateOf(pair)}">${stateOf(pair)}</span>`],
  ["Since", ({ since }, at) => (since === null ? NOT_KNOWN : sinceText(since, at))],
  ["Round trip", ({ rttMs }) => quantiles(rttMs)],
  ["Connect", ({ connectMs }) => quantiles(connectMs)],
  ["Hops", ({ hops }) => (hops === null ? NOT_MEASURED : String(hops))],
  ["Sent", ({ sent }) => String(sent)],
  ["Lost", ({ lost, sent }) => (sent === 0 ? String(lost) : `${lost} (${escapeHtml(lossText(lost, sent))})`)],
  ["Duplicated", ({ duplicated }) => String(duplicated)],
  ["Reordered", ({ reordered }) => String(reordered)],
  ["Corrupted", ({ corrupted }) => String(corrupted)],
];

const NOT_KNOWN = '<span class="note">not known</span>';
const NOT_MEASURED = '<span class="note">not measured</span>';

function quantiles(times: MeshTimes | null): string {
  if (times === null) return NOT_MEASURED;
  return escapeHtml(`p50 ${msText(times.p50)}, p99 ${msText(times.p99)}`);
}

function sinceText(since: string, at: string): string {
  const lastedMs = Date.parse(at) - Date.parse(since);
  return `<time datetime="${escapeHtml(since)}">${escapeHtml(timeText(since))}</time>${Number.isNaN(lastedMs) ? "" : `, ${span(lastedMs)}`}`;
}
