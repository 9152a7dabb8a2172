import { z } from "zod";
import { printable } from "../../errors.ts";
import type { CheckResult } from "../result.ts";
import type { Family } from "../targets.ts";
import { timeText } from "../words.ts";
import { complaintOf, type Kubectl, type KubectlEnd } from "./kubectl.ts";
import type { Member } from "./members.ts";
import { fromJson } from "./objects.ts";

/** Getting into a Pod takes part of a second; a kubelet that is gone would be waited for for minutes. */
const ENTER_MS = 8000;

/** What one member is to ask, all of it at once. */
interface Question {
  readonly targets: readonly string[];
  readonly flags: readonly string[];
  /** After so long nobody waits for it any more. */
  readonly timeoutMs: number;
}

/** How each address is asked by the members and by this machine. */
export interface AskSettings {
  readonly family: Family;
  readonly mtu: boolean;
}

/**
 * New sessions to each target. With every member asking the Service so often, a backend that is gone is overlooked by all
 * of n members with (1 - 1/n) to the power of 10 n: once in 20,000.
 */
export const FLOWS = 10;
/** Echoes of each, and their interval: ten flows of five are over in a second. */
export const COUNT = 5;
export const INTERVAL_MS = 20;
/** Of the one large message of TCP: enough to fill any path's window, and soon over. */
export const BULK_BYTES = 256 * 1024;

/** Addresses that `check` asks at the same time (`check/all.ts`). */
const AT_ONCE = 16;
/** The longest that one of them takes when it never answers: a first connect of 8 s, and nine more side by side. */
const TARGET_MS = 20_000;
/** What sizes pass is given up after a minute (`check/mtu.ts`). */
const MTU_MS = 60_000;

/** One question to `check` in a member. */
function questionOf(targets: readonly string[], { family, mtu }: AskSettings): Question {
  const rounds = Math.ceil(targets.length / AT_ONCE);
  return {
    targets,
    flags: [
      `-${family}`,
      `--flows=${FLOWS}`,
      `--count=${COUNT}`,
      `--interval=${INTERVAL_MS}ms`,
      `--bulk=${BULK_BYTES}`,
      ...(mtu ? ["--mtu"] : []),
    ],
    timeoutMs: ENTER_MS + rounds * (TARGET_MS + (mtu ? MTU_MS : 0)),
  };
}

/** What a member found, or why it could not be asked. */
export type Answer = readonly CheckResult[] | string;

/** A command's words go to the API server in one URL: there shall be an end to them. */
const TARGETS_MAX = 200;

/** Runs `check` in a member's Pod: once, or for very many targets again and again. */
export async function askIn(
  kubectl: Kubectl,
  namespace: string,
  member: Member,
  targets: readonly string[],
  settings: AskSettings,
): Promise<Answer> {
  const run = (words: readonly string[], timeoutMs: number): Promise<KubectlEnd> =>
    kubectl.run(
      ["exec", member.pod, "-n", namespace, "-c", member.container!, "--", "echo-server", "check", ...words],
      timeoutMs,
    );
  // First whether there is a way in at all: that is soon known, and what the check takes is not.
  const entered = await run(["--help"], ENTER_MS);
  if (entered.exitCode !== 0)
    return whyNotEntered(entered, member, `${kubectl.command} auth can-i create pods/exec -n ${namespace}`);
  const results: CheckResult[] = [];
  for (let at = 0; at < targets.length; at += TARGETS_MAX) {
    const { targets: some, flags, timeoutMs } = questionOf(targets.slice(at, at + TARGETS_MAX), settings);
    const end = await run([...some, ...flags, "--json"], timeoutMs);
    const found = end.exitCode === 0 || end.exitCode === 1 ? readResults(end.stdout) : null;
    if (found === null) return whyNoResult(end, timeoutMs);
    results.push(...found);
  }
  return results;
}

/** Why nothing could be run in a Pod, in words without the member's name: many may have the same. */
function whyNotEntered(end: KubectlEnd, { node, container }: Member, canI: string): string {
  const complaint = printable(complaintOf(end));
  if (end.exitCode === null) {
    return `kubectl exec had no answer in ${timeText(ENTER_MS)}: is ${node ?? "its node"} there?`;
  }
  if (/forbidden/i.test(complaint)) return `no right to enter Pods (${canI})`;
  if (/unknown command or argument "check"/.test(end.stderr))
    return "its image has no check: it is echo-server 0.1.0; a later one has";
  if (/executable file not found|no such file/i.test(complaint))
    return `its container ${container} has no echo-server`;
  if (/container not found/i.test(complaint)) return `its container ${container} is not running`;
  return `kubectl cannot enter it: ${complaint}`;
}

function whyNoResult(end: KubectlEnd, timeoutMs: number): string {
  if (end.exitCode === null) return `check was not over after ${timeText(timeoutMs)}`;
  if (end.exitCode === 137)
    return "check was killed in the Pod: is its memory limit wide enough for a second process?";
  return `check failed there: ${printable(complaintOf(end))}`;
}

const problem = z.looseObject({
  code: z.string(),
  flow: z.string().nullable(),
  says: z.string(),
  likely: z.string(),
  where: z.enum(["path", "far_end", "this_machine"]),
  next: z.string().nullable(),
});

/** Of a result what is read here; the rest is handed on as it is. */
const result = z.looseObject({
  target: z.string(),
  protocol: z.enum(["tcp", "udp"]),
  address: z.string().nullable(),
  ok: z.boolean(),
  flows: z.int(),
  flowsAnswered: z.int(),
  servers: z.array(z.looseObject({ server: z.string().nullable() })).nullable(),
  rttMs: z.looseObject({ p50: z.number() }).nullable(),
  problems: z.array(problem),
  notes: z.array(z.looseObject({ says: z.string() })),
});

const report = z.looseObject({ tool: z.literal("check"), results: z.array(result) });

/** The results in what `check --json` has printed; null where it is something else. */
function readResults(text: string): readonly CheckResult[] | null {
  const parsed = report.safeParse(fromJson(text));
  return parsed.success ? parsed.data.results.map((each) => each as unknown as CheckResult) : null;
}
