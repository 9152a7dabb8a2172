import type { FailureCode } from "../../../client/failure.ts";
import { newRun } from "../../../client/payload.ts";
import type { Endpoint } from "../../../net/endpoint.ts";
import { ownEnd } from "../own-end.ts";
import type { CheckContext } from "../plan.ts";
import { sideBySide } from "../side-by-side.ts";
import { askFlow, type FlowPlan } from "./flow.ts";
import { type FlowSeen, isAnswered } from "./seen.ts";

/** Who has waited in vain for longer than this is not waited for by the next one. */
const VAIN_MS = 1000;

/** Sessions that may wait side by side. */
const SIDE_BY_SIDE_MAX = 10;

/** Where the next session would find the same, and all that is wrong is here. */
const HERE: readonly FailureCode[] = [
  "no_ports_here",
  "port_in_use_here",
  "no_descriptors_here",
  "no_buffers_here",
  "no_such_address",
  "not_permitted_here",
];

/**
 * Measures the sessions of one address, one after another, so that none disturbs another's figures. Once one has waited
 * in vain, those that are left are begun one after another but not waited for each by itself, and while a connect lasts
 * too long they need not wait for its end: it alone may take 8 s. When of ten such sessions none is answered the rest is not begun. The same where it is this machine that
 * cannot begin any more.
 */
export async function askFlows(target: Endpoint, context: CheckContext): Promise<FlowSeen[]> {
  const { settings, signal } = context;
  const planOf = planner(target, context);
  const flows: FlowSeen[] = [];
  let patient = true;
  while (flows.length < settings.flows && !signal.aborted) {
    const width = Math.min(SIDE_BY_SIDE_MAX, settings.flows - flows.length);
    const startMs = performance.now();
    const batch = await (patient ? askOne(width, planOf, context) : askSome(width, planOf, context));
    if (signal.aborted) break; // what was aborted says nothing of the address
    flows.push(...batch);
    context.progress(flows.length / settings.flows);
    if (batch.some(({ failure }) => failure !== null && HERE.includes(failure.code))) break;
    if ((!patient || batch.length > 1) && !batch.some(isAnswered)) break;
    if (batch.some(hasWaited) && performance.now() - startMs > VAIN_MS) patient = false;
  }
  return flows;
}

/** Whether it ended with waiting for what did not come: a connection, or an echo. */
function hasWaited({ connectMs, failure }: FlowSeen): boolean {
  return failure !== null && (connectMs === null || failure.code === "silent" || failure.code === "timeout");
}

/** One session; while its connect waits for longer than one should, others as well, so many in all. */
async function askOne(width: number, planOf: () => FlowPlan, context: CheckContext): Promise<FlowSeen[]> {
  const { promise: slow, resolve } = Promise.withResolvers<"slow">();
  const first = askFlow({ ...planOf(), slowToConnect: () => resolve("slow") });
  if ((await Promise.race([first, slow])) !== "slow") return [await first];
  const others = await askSome(width - 1, planOf, context);
  return [await first, ...others];
}

/** Some sessions side by side, begun `--interval` apart. */
function askSome(width: number, planOf: () => FlowPlan, context: CheckContext): Promise<FlowSeen[]> {
  const { settings, signal } = context;
  return sideBySide(width, width * settings.intervalMs, signal, () => askFlow(planOf()));
}

/** Makes the plan of one session after another. */
function planner(target: Endpoint, context: CheckContext): () => FlowPlan {
  const run = newRun();
  let flow = 0;
  let bulkIsDue = true;
  let own: Promise<Endpoint | null> | null = null;
  return () => ({
    target,
    key: { run, flow: flow++ },
    context,
    ownEnd() {
      own ??= ownEnd(target, context);
      return own;
    },
    claimBulk() {
      const claimed = bulkIsDue;
      bulkIsDue = false;
      return claimed;
    },
    slowToConnect() {},
  });
}
