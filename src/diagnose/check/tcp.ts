import type { CheckResult } from "../result.ts";
import { interfaceMtu } from "./interface-mtu.ts";
import { knownOwn } from "./own-end.ts";
import type { Asked, CheckContext } from "./plan.ts";
import { askFlows } from "./tcp/flows.ts";
import { resultOf } from "./tcp/result.ts";

/**
 * Asks one address by TCP and tells what was found: `settings.flows` sessions, each from a source port of its own with
 * `count` echoes, and on one of them the bulk and the half-close. Where the signal is aborted it tells of the sessions
 * that were over by then.
 */
export async function checkTcp(asked: Asked, context: CheckContext): Promise<CheckResult> {
  const flows = await askFlows(asked.endpoint, context);
  const own = knownOwn(flows);
  return resultOf({
    asked,
    settings: context.settings,
    flows,
    interrupted: context.signal.aborted,
    bySystemCalls: context.sockets.bySystemCalls,
    interfaceMtu: own === null ? null : await interfaceMtu(own.address),
  });
}
