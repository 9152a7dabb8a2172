import type { Family } from "../targets.ts";
import { listText, plural } from "../words.ts";
import { failedIn, onlyThose } from "./again.ts";
import { discover } from "./discover.ts";
import { Kubectl, type KubectlSettings } from "./kubectl.ts";
import type { Fleet } from "./members.ts";
import { mistakenNotes } from "./mistaken.ts";
import { familyOfFleet, planCells } from "./plan.ts";
import { problemsOf } from "./problems.ts";
import type { FleetReport } from "./result.ts";
import { askCells } from "./run.ts";

/** What a person wants to know of a cluster's network. */
export interface FleetQuestion {
  readonly kubectl: KubectlSettings;
  /** Null: that of kubectl's context, or else the fleet's own. */
  readonly namespace: string | null;
  /** Null: the cluster's own. */
  readonly family: Family | null;
  readonly mtu: boolean;
  /** Whether this machine asks the NodePorts, too. */
  readonly outside: boolean;
  /** A report of before: only what failed in it is asked. */
  readonly failedFrom: string | null;
}

/**
 * Asks every question of the matrix, and groups what fails.
 * @returns null where the signal came first
 * @throws StartError where there is nobody to ask: no kubectl, no cluster, no fleet; UsageError for a wrong file
 */
export async function askFleet(
  question: FleetQuestion,
  signal: AbortSignal,
  progress: (share: number, what: string) => void,
): Promise<FleetReport | null> {
  const startedAt = new Date().toISOString();
  const sinceMs = performance.now();
  const { mtu, outside, failedFrom } = question;
  const again = failedFrom === null ? null : await failedIn(failedFrom);
  const kubectl = new Kubectl(question.kubectl, signal);
  progress(0, "looking for the fleet");
  const fleet = await discover(kubectl, question.namespace).catch((error: unknown) => {
    if (signal.aborted) return null;
    throw error;
  });
  if (fleet === null) return null;
  const family = question.family ?? familyOfFleet(fleet);
  const all = planCells(fleet, { family, outside });
  const planned = again === null ? all : onlyThose(all, again);
  const cells = await askCells(fleet, planned, { family, mtu }, { kubectl, signal, progress });
  if (cells === null) return null;
  const problems = problemsOf(cells, fleet, kubectl.command);
  // Of a report without failures nothing is to be asked again; a fleet of which all Pods leave has no cells either.
  const isNothingOpen = again !== null && again.length === 0;
  const isMeasured = isNothingOpen || cells.some(({ ok }) => ok !== null);
  return {
    tool: "fleet",
    version: 1,
    ok: problems.length === 0 && isMeasured,
    startedAt,
    seconds: (performance.now() - sinceMs) / 1000,
    namespace: fleet.namespace,
    family,
    cells,
    problems,
    notes: [...mistakenNotes(cells, fleet), ...notesOf(fleet, family)],
  };
}

function notesOf({ members, leaving, policies, namespace }: Fleet, family: Family): string[] {
  const notes: string[] = [];
  const unready = members.filter(({ ready }) => !ready).map(({ name }) => name);
  if (unready.length > 0) notes.push(`not ready: ${listText(unready)}`);
  if (leaving.length > 0)
    notes.push(
      `not asked, since ${plural(leaving.length, "Pod")} of it ${leaving.length === 1 ? "leaves" : "leave"}: ${listText(leaving)}`,
    );
  if (policies === null)
    notes.push(`NetworkPolicies of ${namespace} may not be read: none can be named as a cause`);
  const other: Family = family === 4 ? 6 : 4;
  const isDual = members.some(({ addresses }) => addresses.length > 1);
  if (isDual)
    notes.push(`all of it by IPv${family}; the fleet has IPv${other} as well: -${other} asks by that`);
  return notes;
}
