import { countText, timeText } from "../words.ts";
import { serverText } from "./servers.ts";
import type { ProbeName } from "./settings.ts";
import type { Flow, TargetWatch } from "./target-watch.ts";

/** How a flow is now, in words. */
export interface StatusRow {
  readonly target: string;
  readonly flow: ProbeName;
  readonly isWell: boolean;
  readonly says: string;
}

export function statusOf(targets: readonly TargetWatch[], nowMs: number): StatusRow[] {
  return targets.flatMap(({ target, flows }) =>
    flows.map((flow) => {
      const isWell = flow.state.server !== null && !flow.state.isSilent;
      return { target: target.text, flow: flow.name, isWell, says: statusText(flow, nowMs) };
    }),
  );
}

function statusText({ state, probe }: Flow, nowMs: number): string {
  const { sent, answered, lost, outages, rttMs } = probe.figures(nowMs, nowMs);
  const sinceMs = state.silentSinceMs;
  const counts = `${countText(answered)}/${countText(sent)}`;
  const losses = lost === 0 ? "" : `, ${countText(lost)} lost`;
  const out = outages.count === 0 ? "" : `, out ${timeText(outages.totalMs)} in all`;
  if (sinceMs !== null) return `SILENT for ${timeText(nowMs - sinceMs)}  ${counts}${losses}${out}`;
  if (state.server === null) return `no answer yet  ${counts}`;
  const typical = rttMs === null ? "" : `  ${timeText(rttMs.p50)}`;
  return `${serverText(state.server)}${typical}  ${counts}${losses}${out}`;
}
