import { endpointOf } from "../../net/endpoint.ts";
import type { Asked, CheckSettings } from "../check/plan.ts";
import type { CheckResult, ProblemCode } from "../result.ts";
import { parseTarget } from "../targets.ts";
import { bySystemCallsOf, runTask } from "../thread.ts";
import type { Cell } from "./cell.ts";
import { type Answer, type AskSettings, askIn, BULK_BYTES, COUNT, FLOWS, INTERVAL_MS } from "./enter.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Fleet } from "./members.ts";
import { OUTSIDE, type PlannedCell } from "./plan.ts";

/** Checks that run at the same time. */
const AT_ONCE = 8;

/** As `check` has them where nobody says otherwise. */
const OUTSIDE_SETTINGS: Omit<CheckSettings, "mtu"> = {
  flows: FLOWS,
  count: COUNT,
  size: 64,
  intervalMs: INTERVAL_MS,
  timeoutMs: 2000,
  bulkBytes: BULK_BYTES,
  source: {},
};

export interface AskAccess {
  readonly kubectl: Kubectl;
  readonly signal: AbortSignal;
  /** Told how far it is, 0 to 1, and who was asked last. */
  progress(share: number, what: string): void;
}

/**
 * Asks all that was planned, each asker's questions at once, eight askers side by side.
 * @returns the cells in the order of the plan; null where the signal came first
 */
export async function askCells(
  fleet: Fleet,
  planned: readonly PlannedCell[],
  settings: AskSettings,
  { kubectl, signal, progress }: AskAccess,
): Promise<Cell[] | null> {
  const askers = [...new Set(planned.filter(({ target }) => target !== null).map(({ from }) => from))];
  const answers = new Map<string, Answer>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < askers.length && !signal.aborted) {
      const from = askers[next++]!;
      answers.set(from, await ask(from));
      progress(answers.size / askers.length, `${answers.size} of ${askers.length} asked`);
    }
  };
  const ask = async (from: string): Promise<Answer> => {
    const targets = [
      ...new Set(
        planned.flatMap((cell) => (cell.from === from && cell.target !== null ? [cell.target] : [])),
      ),
    ];
    if (from === OUTSIDE) return await askFromHere(targets, settings, signal);
    const member = fleet.members.find(({ name }) => name === from)!;
    return await askIn(kubectl, fleet.namespace, member, targets, settings);
  };
  progress(0, "");
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, askers.length) }, work));
  return signal.aborted ? null : planned.map((cell) => cellOf(cell, answers.get(cell.from)));
}

/** NodePorts, by this program itself. */
async function askFromHere(
  targets: readonly string[],
  { mtu }: AskSettings,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const asked = targets.map((text): Asked => {
    const { protocols, host, port } = parseTarget(text);
    return {
      target: text,
      protocol: protocols[0]!,
      name: host,
      endpoint: endpointOf(host, port!)!,
      resolveMs: null,
    };
  });
  const options = { signal, onEvent: () => {}, bySystemCalls: bySystemCallsOf("auto") };
  return await runTask("check", { asked, settings: { ...OUTSIDE_SETTINGS, mtu } }, options);
}

/** A cell with its answer. */
export function cellOf({ target, why, ...cell }: PlannedCell, answer: Answer | undefined): Cell {
  const open = (reason: string): Cell => ({ ...cell, ok: null, why: reason, result: null });
  if (target === null) return open(why!);
  if (answer === undefined) return open("it was not asked");
  if (typeof answer === "string") return open(answer);
  // A name may have several addresses: one that is not well is what counts.
  const results = answer.filter((result) => result.target === target && result.protocol === cell.protocol);
  const result = results.find(({ ok }) => !ok) ?? results[0];
  if (result === undefined) return open("check said nothing of it");
  return wasTried(result)
    ? { ...cell, ok: result.ok, why: null, result }
    : { ...open(whyNotTried(result)), result };
}

/** What ran out at the asking end says nothing of the way. */
const HERE: readonly ProblemCode[] = ["no_ports_here", "no_descriptors_here"];

function wasTried({ ok, problems }: CheckResult): boolean {
  return ok || problems.some(({ code }) => !HERE.includes(code));
}

function whyNotTried({ problems }: CheckResult): string {
  return problems[0]?.says ?? "check could not measure it";
}
