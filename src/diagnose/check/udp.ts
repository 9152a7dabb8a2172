import type { CheckResult } from "../result.ts";
import type { MtuFindings } from "./mtu/findings.ts";
import { notAnswered, probeMtu } from "./mtu.ts";
import type { Asked, CheckContext } from "./plan.ts";
import { askFlows } from "./udp/flows.ts";
import { resultOf } from "./udp/result.ts";

/**
 * Asks one address by UDP: new flows, each with a source port of its own and datagrams that are unlike all others. All
 * that the network does is in the result; nothing is thrown.
 */
export async function checkUdp(asked: Asked, context: CheckContext): Promise<CheckResult> {
  if (!context.settings.mtu) return resultOf(await askFlows(asked, context));
  const halved = (from: number): CheckContext => ({
    ...context,
    progress: (share) => context.progress(from + share / 2),
  });
  const seen = await askFlows(asked, halved(0));
  const heard = seen.flows.some((flow) => flow.heard); // if only of a banner: smaller ones may pass
  return withSizes(resultOf(seen), heard ? await probeMtu(asked, halved(0.5)) : notAnswered());
}

/** The result with what was found of the sizes, which knows more of them than the flows do. */
function withSizes(result: CheckResult, { mtu, problems, notes }: MtuFindings): CheckResult {
  const others = result.notes.filter(({ code }) => mtu === null || code !== "mtu_reduced");
  return {
    ...result,
    mtu,
    ok: result.ok && problems.length === 0,
    problems: [...result.problems, ...problems],
    notes: [...others, ...notes],
  };
}
