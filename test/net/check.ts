import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type {
  CheckReport,
  CheckResult,
  Note,
  NoteCode,
  Problem,
  ProblemCode,
} from "../../src/diagnose/result.ts";
import { REPORT } from "../check/schema.ts";
import type { Host } from "../clients/network.ts";
import { type Finished, MAIN, ServerProcess } from "../harness.ts";

/** `check` as a person runs it: the real command on a host of the lab, by somebody who may do nothing. */

export interface CheckOptions {
  /** Root runs it, with all that root may do; by default an ordinary user does. */
  readonly asRoot?: boolean;
  /** Lines of `/etc/hosts`. */
  readonly hosts?: string;
  /** `/etc/resolv.conf`; by default it names nobody. */
  readonly resolver?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What a shell does first: `exec >&-`. */
  readonly before?: string;
  /** What is run, from the project's folder; by default the program. */
  readonly program?: string;
}

/** Enough flows for each verdict, and a soon end. */
export const QUICK: readonly string[] = [
  ...["--flows", "3", "--count", "5", "--interval", "2ms"],
  ...["--timeout", "1s", "--bulk", "64KiB"],
];

/** One flow and few datagrams: where each costs a timeout. */
export const ONCE: readonly string[] = [
  ...["--flows", "1", "--count", "2", "--interval", "2ms"],
  ...["--timeout", "500ms", "--bulk", "64KiB"],
];

const PROJECT = dirname(dirname(MAIN));
/** What makes an ordinary user of root. */
export const ORDINARY =
  "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all";

let made: string | undefined;

/**
 * The project and Bun may lie in somebody's home, where an ordinary user may not read them. So a run has a mount namespace
 * of its own, in which both are in this folder.
 */
function scratch(): string {
  if (made !== undefined) return made;
  made = mkdtempSync("/tmp/echo-lab-");
  chmodSync(made, 0o755);
  mkdirSync(join(made, "project"));
  writeFileSync(join(made, "bun"), "");
  return made;
}

/** Takes away what all runs shared. */
export function cleanUp(): void {
  if (made !== undefined) rmSync(made, { recursive: true, force: true });
}

let runs = 0;

/** `check` under way on a host; its process is the command itself, so that signals go there. */
export function startCheck(host: Host, args: readonly string[], options: CheckOptions = {}): ServerProcess {
  return startCommand(host, ["check", ...args], options);
}

/** Any command of the program, in the same way. */
export function startCommand(host: Host, args: readonly string[], options: CheckOptions = {}): ServerProcess {
  const folder = scratch();
  const run = ++runs;
  const hosts = join(folder, `hosts-${run}`);
  const resolver = join(folder, `resolver-${run}`);
  writeFileSync(hosts, `127.0.0.1 localhost\n::1 localhost\n${options.hosts ?? ""}`);
  writeFileSync(resolver, options.resolver ?? "");
  const script = `
    mount --bind ${hosts} /etc/hosts
    mount --bind ${resolver} /etc/resolv.conf
    mount --bind ${process.execPath} ${folder}/bun
    mount --bind ${PROJECT} ${folder}/project
    cd ${folder}/project
    ${options.before ?? ""}
    exec ${options.asRoot === true ? "" : ORDINARY} ${folder}/bun ${options.program ?? "src/main.ts"} "$@"`;
  const command = host.inside("unshare", "--mount", "sh", "-ec", script, "sh");
  return new ServerProcess(args, { command, env: { HOME: "/", ...options.env } });
}

/** Runs `check` to its end, for people. */
export async function checkText(
  host: Host,
  args: readonly string[],
  options: CheckOptions = {},
): Promise<Finished> {
  await using child = startCheck(host, args, options);
  const exitCode = await child.exited;
  return { exitCode, stdout: child.stdout, stderr: child.stderr };
}

/**
 * Runs `check --json` to its end.
 * @throws where its exit code is not what its report says, or it said anything beside it
 */
export async function check(
  host: Host,
  args: readonly string[],
  options: CheckOptions = {},
): Promise<CheckReport> {
  const { exitCode, stdout, stderr } = await checkText(host, [...args, "--json"], options);
  const all = `exit ${exitCode}\n${stdout}\n${stderr}`;
  if (stderr !== "" || (exitCode !== 0 && exitCode !== 1)) throw new Error(`check failed: ${all}`);
  const report = REPORT.parse(JSON.parse(stdout)) as CheckReport;
  const bad = report.results.some(({ problems }) => problems.length > 0);
  const agree =
    report.ok === !bad && report.results.every(({ ok, problems }) => ok === (problems.length === 0));
  if (!agree || exitCode !== (bad ? 1 : 0)) throw new Error(`exit code, ok and problems differ: ${all}`);
  return report;
}

/** The one result of a run with one target that is one address and one protocol. @throws where there are more */
export async function checkOne(
  host: Host,
  args: readonly string[],
  options: CheckOptions = {},
): Promise<CheckResult> {
  const { results } = await check(host, args, options);
  if (results.length !== 1) throw new Error(`${results.length} results`);
  return results[0]!;
}

/** The codes of its problems. */
export function problemsOf({ problems }: CheckResult): ProblemCode[] {
  return problems.map(({ code }) => code);
}

/** The codes of its notes, less what could not be measured. */
export function notesOf({ notes }: CheckResult): NoteCode[] {
  return notes.map(({ code }) => code).filter((code) => code !== "not_measured");
}

/** Its problem of that code. @throws with all that it found where there is none, or more than one */
export function problemOf(result: CheckResult, code: ProblemCode): Problem {
  return only(result, result.problems, code);
}

/** Its note of that code. @throws with all that it found where there is none, or more than one */
export function noteOf(result: CheckResult, code: NoteCode): Note {
  return only(result, result.notes, code);
}

function only<T extends { code: string }>(result: CheckResult, all: readonly T[], code: string): T {
  const found = all.filter((each) => each.code === code);
  if (found.length !== 1) throw new Error(`${found.length} of ${code} in ${JSON.stringify(result, null, 1)}`);
  return found[0]!;
}
