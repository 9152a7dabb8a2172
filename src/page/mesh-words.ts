import type { MeshMember } from "../diagnose/mesh/result.ts";
import { count } from "./html.ts";

/** How figures and members of the mesh read, in its matrix and above it. */

/** A time in ms to three figures: `0.213 ms`, `1.25 ms`, `104 ms`; it is never rounded to 0. */
export function msText(ms: number): string {
  const decimals = ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0;
  return `${Number(ms.toFixed(decimals)) === 0 && ms > 0 ? "< 0.001" : Number(ms.toFixed(decimals))} ms`;
}

/** A share in percent: `0 %`, `1.7 %`, `12 %`; what is lost is never rounded to 0, and what came never to 100. */
export function lossText(lost: number, sent: number): string {
  if (sent === 0) return "none sent";
  const percent = (100 * lost) / sent;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  if (percent > 99 && percent < 100) return "> 99 %";
  return `${Number(percent.toFixed(percent < 10 ? 1 : 0))} %`;
}

/** `2026-11-25T22:50:00.000Z` as `2026-11-25 22:50:00 UTC` */
export function timeText(iso: string): string {
  return `${iso.slice(0, 19).replace("T", " ")} UTC`;
}

/** `server1-abc on node1` */
export function memberText({ name, node }: Pick<MeshMember, "name" | "node">): string {
  return node === null ? name : `${name} on ${node}`;
}

/** Of a list of members that cannot be relied on. */
export function unresolvedText(self: string, why: string): string {
  return `${self} cannot find out who is a member now, and shows those that it still knows of (${why})`;
}

/** `1 pair`, `12 pairs` */
export function counted(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** `TCP and UDP` */
export function protocolsText(protocols: readonly string[]): string {
  return protocols.map((protocol) => protocol.toUpperCase()).join(" and ");
}
