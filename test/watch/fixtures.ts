import type { Explanation } from "../../src/diagnose/watch/explain.ts";
import { FlowState } from "../../src/diagnose/watch/flow-state.ts";
import type { Said } from "../../src/diagnose/watch/line.ts";
import type { Banner } from "../../src/net/banner.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";

/** A banner of a server, and how it saw this end. */
export function bannerOf(server: string, client = "10.0.0.9:40000", pod: string | null = null): Banner {
  return {
    date: "Thu Nov 26 04:00:00 UTC 2026",
    server: parseEndpoint(server)!,
    client: parseEndpoint(client)!,
    via: null,
    pod,
    node: pod === null ? null : "node1",
    namespace: null,
    length: 100,
  };
}

export const A = "10.244.1.2:5678";
export const B = "10.244.2.7:5678";

export const STUCK: Explanation = {
  code: "this_flow",
  says: `new flows are answered by ${B}: this flow alone is stuck`,
  likely: "a stale entry",
  where: "path",
  next: "conntrack -D",
  newServer: B,
};

export const PATH: Explanation = {
  code: "path",
  says: "the path is gone for all",
  likely: "a link is down",
  where: "path",
  next: null,
};

/** A flow with what it said so far. */
export function flowOf(kind: { held?: boolean; stream?: boolean; silentAfterMs?: number } = {}): {
  state: FlowState;
  said: Said[];
  events: () => string[];
} {
  const said: Said[] = [];
  const { held = true, stream = false, silentAfterMs = 1000 } = kind;
  const rules = { held, stream, silentAfterMs, target: "t", startMs: 0, notRunning: () => 0 };
  const state = new FlowState(rules, (words) => said.push(words));
  return { state, said, events: () => said.map(({ event }) => event) };
}

/** An answer that ended no silence: the probe that it is for was sent just now. */
export function noSilence(atMs: number): { sinceMs: number; untilMs: number; lost: number } {
  return { sinceMs: atMs, untilMs: atMs, lost: 0 };
}
