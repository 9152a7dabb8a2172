import { bunSockets } from "../../../src/client/bun/sockets.ts";
import type { Asked, CheckContext, CheckSettings } from "../../../src/diagnose/check/plan.ts";
import { checkUdp } from "../../../src/diagnose/check/udp.ts";
import type { CheckResult, Problem } from "../../../src/diagnose/result.ts";
import { runTask } from "../../../src/diagnose/thread.ts";
import { formatEndpoint } from "../../../src/net/endpoint.ts";
import { end } from "../fixtures.ts";

/** `check` over UDP as its tests ask it. */

/** Enough for each verdict, and time for a busy machine. */
export const SETTINGS: CheckSettings = {
  flows: 4,
  count: 10,
  size: 64,
  intervalMs: 2,
  timeoutMs: 1000,
  bulkBytes: 0,
  mtu: false,
  source: {},
};

export interface Asking {
  readonly settings?: Partial<CheckSettings>;
  readonly signal?: AbortSignal;
  readonly progress?: (share: number) => void;
}

/** Asks a port of loopback, or any end. */
export type Ask = (target: number | string, asking?: Asking) => Promise<CheckResult>;

/** By Bun's sockets, in the test's own thread. */
const askByBun: Ask = (target, asking = {}) => {
  const context: CheckContext = {
    settings: { ...SETTINGS, ...asking.settings },
    sockets: bunSockets(),
    signal: asking.signal ?? new AbortController().signal,
    progress: asking.progress ?? (() => {}),
  };
  return checkUdp(askedFor(target), context);
};

/** By system calls, in a thread of its own. */
export const askByCalls: Ask = async (target, { settings, signal, progress } = {}) => {
  const input = { asked: [askedFor(target)], settings: { ...SETTINGS, ...settings } };
  const [result] = await runTask("check", input, {
    signal: signal ?? new AbortController().signal,
    onEvent: ({ share }) => progress?.(share),
    bySystemCalls: true,
  });
  return result!;
};

/** Every way of asking that there is on this machine. */
export const WAYS: [string, Ask][] = [["Bun alone", askByBun]];
if (process.platform === "linux") WAYS.unshift(["system calls", askByCalls]);

function askedFor(target: number | string): Asked {
  const endpoint = end(typeof target === "number" ? `127.0.0.1:${target}` : target);
  const text = formatEndpoint(endpoint);
  return { target: `udp://${text}`, protocol: "udp", name: text, endpoint, resolveMs: null };
}

/** The codes of its problems and notes, without what could not be measured. */
export function said({ problems, notes }: CheckResult): string[] {
  return [...problems, ...notes].map(({ code }) => code).filter((code) => code !== "not_measured");
}

/** Its only problem. @throws with the result where there is none, or more than one */
export function problemOf(result: CheckResult): Problem {
  const [problem, ...more] = result.problems;
  if (problem === undefined || more.length > 0) throw new Error(JSON.stringify(result, null, 1));
  return problem;
}
