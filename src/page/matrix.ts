import type { MeshMember, MeshPair, MeshResult } from "../diagnose/mesh/result.ts";
import { escapeHtml } from "./html.ts";
import { cellDetails } from "./mesh-details.ts";
import { type Finding, meshCounts, meshFindings } from "./mesh-findings.ts";
import { isLarge, largeMeshHtml } from "./mesh-large.ts";
import { cellKey, type MeshCell, type MeshView, meshView, type PairState, stateOf } from "./mesh-view.ts";
import { counted, lossText, memberText, msText, timeText } from "./mesh-words.ts";

/** Lines above the matrix at most; the matrix itself has all. */
const FINDINGS_MAX = 12;

const SIGNS: Readonly<Record<PairState, string>> = { up: "✓", down: "✗", unknown: "?" };

/**
 * The mesh as people see it: in words, then as a matrix, rows from, columns to.
 * @param detailed whether a cell (`cellKey`) has its details with it: all of them where no script can bring them
 */
export function matrixHtml(mesh: MeshResult, detailed: (key: string) => boolean = () => true): string {
  if (isLarge(mesh)) return largeMeshHtml(mesh);
  const view = meshView(mesh);
  const heads = view.members.map((to) => head(to, "col", mesh)).join("");
  return `<p role="status">${badge(view)} ${headline(view)}</p>
${findingList(meshFindings(view))}
<div class="matrix" role="region" aria-label="Matrix" tabindex="0"><table>
<caption>Rows ask, columns are asked: round trip (p50) and loss of the last minute. Open a cell for more.</caption>
<thead><tr>${CORNER}${heads}</tr></thead>
<tbody>
${view.rows.map(({ from, cells }) => row(from, cells, mesh, detailed)).join("\n")}
</tbody></table></div>
<p class="legend">${LEGEND}</p>
<p>Each asks every ${mesh.intervalMs / 1000} s. Put together by <b>${escapeHtml(mesh.self)}</b> at ${escapeHtml(timeText(mesh.at))}.</p>`;
}

/** The id of a cell's popover. @param key as `cellKey` has it */
export function popoverId(key: string): string {
  return `pair-${key}`;
}

/** What the popover of this id holds; "" where its pair is no more. */
export function detailsHtml(mesh: MeshResult, id: string): string {
  const cells = meshView(mesh).rows.flatMap((row) => row.cells);
  const cell = cells.find(({ from, to }) => popoverId(cellKey(from.name, to.name)) === id);
  return cell === undefined ? "" : cellDetails(cell, mesh.at);
}

const CORNER = `<th scope="col" class="corner">from <span aria-hidden="true">↓</span> to <span aria-hidden="true">→</span></th>`;

const LEGEND = `<span class="way up"><span aria-hidden="true">✓ </span>up</span>
<span class="way down"><span aria-hidden="true">✗ </span>down: two probes in a row had no answer</span>
<span class="way unknown"><span aria-hidden="true">? </span>unknown: not measured yet, or not told</span>
<span class="way none"><span aria-hidden="true">· </span>not assigned: nobody asks here</span>`;

function badge(view: MeshView): string {
  const { up, down, unknown } = meshCounts(view);
  const open = view.members.some(({ address, row }) => address === null || row === false);
  if (down > 0) return `<span class="state down">${down} down</span>`;
  if (unknown > 0 || open) return '<span class="state unknown">unknown in part</span>';
  return up > 0 ? '<span class="state up">all up</span>' : '<span class="state unknown">empty</span>';
}

function headline(view: MeshView): string {
  const { up, down, unknown } = meshCounts(view);
  const members = counted(view.members.length, "member");
  if (up + down + unknown === 0) return `${members}: nobody asks anybody.`;
  return `${members}, ${counted(up + down + unknown, "pair")}: ${down} down, ${unknown} unknown, ${up} up.`;
}

function findingList(findings: readonly Finding[]): string {
  if (findings.length === 0) return "";
  const lines = findings.slice(0, FINDINGS_MAX).map(({ kind, says }) => {
    return `<li class="${kind}">${escapeHtml(says)}</li>`;
  });
  const more = findings.length - lines.length;
  return `<ul class="findings">${lines.join("")}${more > 0 ? `<li>and ${more} more, in the matrix</li>` : ""}</ul>`;
}

function head(member: MeshMember, scope: "row" | "col", { self }: MeshResult): string {
  const { name, node, address, row } = member;
  const notes = [
    ...(node === null ? [] : [escapeHtml(node)]),
    ...(name === self ? ["<em>this one</em>"] : []),
    ...(address === null ? ['<em class="unknown">no address</em>'] : []),
    ...(scope === "row" && row === false ? ['<em class="unknown">row not told</em>'] : []),
  ];
  const text = `${escapeHtml(name)}${notes.map((note) => `<small>${note}</small>`).join("")}`;
  return `<th scope="${scope}" data-key="${escapeHtml(name)}">${text}</th>`;
}

function row(
  from: MeshMember,
  cells: readonly MeshCell[],
  mesh: MeshResult,
  detailed: (key: string) => boolean,
): string {
  const inner = cells.map((cell) => cellHtml(cell, mesh, detailed)).join("");
  return `<tr data-key="${escapeHtml(from.name)}">${head(from, "row", mesh)}${inner}</tr>`;
}

function cellHtml(cell: MeshCell, { at }: MeshResult, detailed: (key: string) => boolean): string {
  const { from, to, pairs } = cell;
  const start = `<td data-key="${escapeHtml(to.name)}"`;
  if (pairs.length === 0) return `${start}${EMPTY[cell.empty]}</td>`;
  const key = cellKey(from.name, to.name);
  const id = escapeHtml(popoverId(key));
  const title = escapeHtml(`${memberText(from)} → ${memberText(to)}`);
  const details = detailed(key) ? cellDetails(cell, at) : "";
  return `${start}><button type="button" popovertarget="${id}" title="${title}">${pairs.map(way).join("")}</button><div popover id="${id}">${details}</div></td>`;
}

/** One protocol of a cell, to be read without its colour. */
function way(pair: MeshPair): string {
  const state = stateOf(pair);
  const word = state === "up" ? '<span class="sr">up</span>' : state;
  return `<span class="way ${state}"><span aria-hidden="true">${SIGNS[state]}</span> ${pair.protocol.toUpperCase()} ${word}${figures(pair)}</span>`;
}

/** Round trip and loss, as far as there are any; of a pair that is down, what came before has no room here. */
function figures({ up, rttMs, sent, lost }: MeshPair): string {
  const rtt = rttMs === null || up === false ? "" : ` <span>${escapeHtml(msText(rttMs.p50))}</span>`;
  const loss =
    sent === 0 ? "" : ` <span${lost > 0 ? ' class="lossy"' : ""}>${escapeHtml(lossText(lost, sent))}</span>`;
  return rtt + loss;
}

const EMPTY: Readonly<Record<MeshCell["empty"], string>> = {
  itself: ' class="itself">itself',
  "not assigned": ' class="none"><span class="sr">not assigned</span>',
  "no address": ' class="open"><span aria-hidden="true">?</span><span class="sr">unknown: no address</span>',
  "no row": ' class="open"><span aria-hidden="true">?</span><span class="sr">unknown: row not told</span>',
};
