import type { MeshMember, MeshPair, MeshResult } from "../diagnose/mesh/result.ts";
import { code, count, escapeHtml, paragraph, table } from "./html.ts";
import { unresolvedText } from "./mesh-words.ts";

/** A mesh that is too large to be drawn: a matrix of 1,000 members is 100 MB of HTML. */

/** Members that are drawn as a matrix; more of them are told of in words. */
const DRAWN_MAX = 100;

/** Rows of the table of what is not well. */
const ROWS_MAX = 100;

export function isLarge({ members, pairs }: MeshResult): boolean {
  const names = new Set(members.map(({ name }) => name));
  for (const { from, to } of pairs) {
    names.add(from).add(to);
    if (names.size > DRAWN_MAX) return true;
  }
  return names.size > DRAWN_MAX;
}

/** How many there are, and what is not well, as far as it fits. */
export function largeMeshHtml({ self, unresolved, members, pairs }: MeshResult): string {
  const open = members.filter(({ address, row }) => address === null || row === false);
  const down = pairs.filter(({ up }) => up === false);
  const unknown = pairs.filter(({ up }) => up === null);
  const rows = [...down.map(pairRow), ...open.map(memberRow), ...unknown.map(pairRow)];
  const well = pairs.length - down.length - unknown.length;
  const words = `${count(members.length)} members, ${count(pairs.length)} pairs: ${count(down.length)} down, ${count(unknown.length)} unknown, ${count(well)} up.`;
  const columns = [
    { head: "From" },
    { head: "To" },
    { head: "Protocol" },
    { head: "State" },
    { head: "Why" },
  ];
  const left = rows.length - ROWS_MAX;
  return [
    `<p role="status">${badge(down.length, unknown.length + open.length)} ${words}</p>\n`,
    paragraph(`A mesh of more than ${DRAWN_MAX} members is not drawn as a matrix; this is what is not up.`),
    unresolved === null ? "" : paragraph(escapeHtml(unresolvedText(self, unresolved))),
    rows.length === 0 ? "" : table("What is not up", columns, rows.slice(0, ROWS_MAX)),
    left > 0 ? paragraph(`And ${count(left)} more.`) : "",
    paragraph(`<a href="mesh.json?scope=all">All of it as JSON</a>`),
  ].join("");
}

function badge(down: number, unknown: number): string {
  if (down > 0) return `<span class="state down">${count(down)} down</span>`;
  return unknown > 0
    ? `<span class="state unknown">unknown in part</span>`
    : `<span class="state up">all up</span>`;
}

function pairRow({ from, to, protocol, up, why }: MeshPair): string[] {
  const state = up === null ? "unknown" : "down";
  return [code(from), code(to), protocol.toUpperCase(), state, escapeHtml(why ?? "not measured yet")];
}

function memberRow({ name, address }: MeshMember): string[] {
  const why = address === null ? "it has no address" : "its row did not come";
  return [code(name), "-", "-", "unknown", why];
}
