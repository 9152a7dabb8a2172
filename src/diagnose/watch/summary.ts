import { align, wrap } from "../layout.ts";
import { countText, plural, timeText } from "../words.ts";
import type { FlowSummary, SummaryLine } from "./line.ts";
import { serverText } from "./servers.ts";
import { PROBES, type ProbeName } from "./settings.ts";

/** How a watch ended: `well`, or what the exit code says else. */
export type Verdict = "well" | "problem" | "no_answer";

/** @param maxOutageMs the longest outage of any flow that is still well */
export function verdictOf(summaries: readonly SummaryLine[], maxOutageMs: number): Verdict {
  const flows = summaries.flatMap((line) => Object.values(line.flows));
  if (flows.every(({ answered }) => answered === 0)) return "no_answer";
  const tooLong = flows.some(({ outages }) => outages.count > 0 && outages.longestMs > maxOutageMs);
  const others = summaries.some(({ problems }) => Object.keys(problems).length > 0);
  return tooLong || others ? "problem" : "well";
}

/** Servers of one flow that a person is told; `--json` tells all. */
const SERVERS_TOLD = 12;

/** This machine was held up for longer: worth a line. */
const STALL_TOLD_MS = 100;

/** The column of names, and where it goes on what a server's line has no room for. */
const NAME_WIDTH = 15;
const SERVER_INDENT = " ".repeat(NAME_WIDTH + 2);

const HEAD = ["", "sent", "answered", "lost", "outages", "longest", "in all", "rtt p50", "p99", "max"];

/** A summary for a person: a table of the flows, then who answered them. */
export function summaryText(line: SummaryLine): string {
  const flows = PROBES.flatMap((name) => {
    const flow = line.flows[name];
    return flow === undefined ? [] : [{ name, flow }];
  });
  const rows = [HEAD, ...flows.map(({ name, flow }) => [name, ...cellsOf(flow)])];
  const address = line.address === null || line.target.includes(line.address) ? "" : ` (${line.address})`;
  return [
    "",
    `${line.target}${address}, ${line.final ? "" : "so far "}${timeText(line.seconds * 1000)}`,
    ...align(rows),
    ...flows.flatMap(({ name, flow }) => serverLines(name, flow)),
    ...lateLines(flows),
    ...problemLines(line),
    ...stallLines(line),
  ].join("\n");
}

function cellsOf({ sent, answered, lost, outages, rttMs }: FlowSummary): string[] {
  const outs = outages.count === 0 ? ["-", "-"] : [timeText(outages.longestMs), timeText(outages.totalMs)];
  const times = rttMs === null ? ["-", "-", "-"] : [rttMs.p50, rttMs.p99, rttMs.max].map(timeText);
  return [countText(sent), countText(answered), countText(lost), countText(outages.count), ...outs, ...times];
}

function serverLines(name: string, { servers, serversForgotten }: FlowSummary): string[] {
  const told = servers.slice(-SERVERS_TOLD);
  const others = servers.length - told.length + serversForgotten;
  const lines = told.map(
    (span) => `${serverText(span)} from ${span.from.toFixed(1)} s to ${span.to.toFixed(1)} s`,
  );
  if (others > 0) lines.unshift(`${plural(others, "server")} before those below`);
  return lines.flatMap((text, at) => wrap(text, (at === 0 ? name : "").padEnd(NAME_WIDTH), SERVER_INDENT));
}

/** Of UDP: a held session's late echoes are no loss. */
function lateLines(flows: readonly { readonly name: ProbeName; readonly flow: FlowSummary }[]): string[] {
  const late = flows.filter(({ name, flow }) => name !== "tcp-held" && flow.late > 0);
  if (late.length === 0) return [];
  const counts = late.map(({ name, flow }) => `${name} ${countText(flow.late)}`).join(", ");
  return [`late           ${counts} (answered after --timeout, and counted as lost)`];
}

function problemLines({ problems }: SummaryLine): string[] {
  const entries = Object.entries(problems);
  if (entries.length === 0) return [];
  return [`problems       ${entries.map(([code, count]) => `${code} ${countText(count)}`).join(", ")}`];
}

function stallLines({ stalls: { count, longestMs, totalMs } }: SummaryLine): string[] {
  if (longestMs < STALL_TOLD_MS) return [];
  const times = `${plural(count, "time")}, ${timeText(totalMs)} in all, ${timeText(longestMs)} at once`;
  return [`this machine   was too busy to send in time: ${times} (no outages)`];
}
