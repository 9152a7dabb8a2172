import type { Problem, ProblemCode, Where } from "../result.ts";
import { listText, plural } from "../words.ts";
import { type Cell, isHeldTo, kindOf } from "./cell.ts";
import { type Condition, type Group, groupFailures } from "./group.ts";
import type { Fleet, Member } from "./members.ts";
import { OUTSIDE } from "./plan.ts";
import type { FleetProblem } from "./result.ts";
import { groupText, wayText } from "./words.ts";

/** More verdicts are not named one by one. */
const CODES_NAMED = 3;

/** What is wrong, grouped by what it has in common, the widest first. */
export function problemsOf(
  cells: readonly Cell[],
  fleet: Fleet,
  /** As a person is to write it in a next step. */
  kubectl: string,
): FleetProblem[] {
  return groupFailures(cells).map((group) =>
    problemOf(sharpened(withPolicy(group, cells), cells), cells, fleet, kubectl),
  );
}

/**
 * A policy that forbids all of a group is its cause, even where less is needed to tell the group from the rest: where
 * nothing is well at all, say. Not one that something passes against: nobody enforces that.
 */
function withPolicy(group: Group, cells: readonly Cell[]): Group {
  const { conditions } = group;
  const policy = cells[group.cells[0]!]!.policy;
  if (policy === null || conditions === null || has(group, "policy")) return group;
  const isShared = group.cells.every((at) => cells[at]!.policy === policy);
  const isEnforced = cells.every((cell) => cell.policy !== policy || cell.ok !== true || !isHeldTo(cell));
  if (!isShared || !isEnforced) return group;
  return { ...group, conditions: [{ what: "policy", name: policy }, ...conditions] };
}

function problemOf(group: Group, cells: readonly Cell[], fleet: Fleet, kubectl: string): FleetProblem {
  const members = group.cells.map((at) => cells[at]!);
  const codes = countCodes(members);
  const [code] = codes[0] ?? ["timeout"];
  const { cell, problem } = exampleOf(members, code);
  return {
    code,
    says: groupText(group),
    likely: likely(group, cell, problem, fleet),
    where: whereOf(group, problem, fleet),
    flow: problem?.flow ?? null,
    next: nextStep(group, cell, fleet, kubectl),
    cells: group.cells,
  };
}

/** What all of a group's cells are by, too, is said, even where less is needed to tell them from the rest. */
function sharpened(group: Group, cells: readonly Cell[]): Group {
  const { conditions, kind } = group;
  if (conditions === null) return group;
  const alike = group.cells.map((at) => cells[at]!).filter((cell) => kindOf(cell) === kind);
  const more: Condition[] = [];
  const [first] = alike;
  if (first === undefined) return group;
  const { protocol, way } = first;
  if (!has(group, "protocol") && alike.every((cell) => cell.protocol === protocol))
    more.push({ what: "protocol", name: protocol });
  if (!has(group, "way") && alike.every((cell) => cell.way === way)) more.push({ what: "way", name: way });
  return { ...group, conditions: [...narrowed(conditions, alike), ...more] };
}

/** Two nodes are all that was seen where no third one could be measured: they are named, not the network of them all. */
function narrowed(conditions: readonly Condition[], cells: readonly Cell[]): readonly Condition[] {
  if (conditions.some(({ what }) => ENDS.includes(what))) return conditions;
  const nodes = [...new Set(cells.flatMap(({ fromNode, toNode }) => [fromNode, toNode]))].sort();
  const [name, other] = nodes;
  if (nodes.length !== 2 || name == null || other == null) return conditions;
  return conditions.map((each) => (each.what === "across" ? { what: "between", name, other } : each));
}

const ENDS: readonly Condition["what"][] = ["from", "to", "from_node", "to_node"];

/** Verdicts of the cells, each cell's first, the most frequent first. */
function countCodes(cells: readonly Cell[]): [ProblemCode, number][] {
  const counts = new Map<ProblemCode, number>();
  for (const { result } of cells) {
    const code = result?.problems[0]?.code ?? "timeout";
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}

/** `16 questions: timeout 12 times and refused 4 times` */
export function verdictsText(cells: readonly Cell[]): string {
  const codes = countCodes(cells);
  const named = codes
    .slice(0, CODES_NAMED)
    .map(([code, count]) =>
      codes.length === 1 ? code : `${code} ${count === 1 ? "once" : `${count} times`}`,
    );
  return `${plural(cells.length, "question")}: ${listText([...named, ...(codes.length > CODES_NAMED ? ["others"] : [])])}`;
}

/** One cell that has that verdict, one with a flow to be looked for where there is one. */
function exampleOf(cells: readonly Cell[], code: ProblemCode): { cell: Cell; problem: Problem | null } {
  const all = cells.map((cell) => ({
    cell,
    problem: cell.result?.problems.find((each) => each.code === code) ?? null,
  }));
  const withFlow = all.find(({ problem }) => problem !== null && problem.flow !== null);
  return withFlow ?? all.find(({ problem }) => problem !== null) ?? all[0]!;
}

function has(group: Group, what: string): boolean {
  return group.conditions?.some((condition) => condition.what === what) ?? false;
}

/** The name that a condition gives; null where there is no such condition. */
function named(group: Group, what: string): string | null {
  const found = group.conditions?.find((condition) => condition.what === what);
  return found !== undefined && "name" in found ? found.name : null;
}

function likely(group: Group, cell: Cell, problem: Problem | null, fleet: Fleet): string {
  if (has(group, "policy")) return "the policy is meant so, or lacks a rule that lets members ask each other";
  const unready = unreadyOf(group, fleet);
  if (unready.length > 0)
    return `${listText(unready.map(({ name }) => name))} ${unready.length === 1 ? "is" : "are"} not ready`;
  if (named(group, "from") === OUTSIDE)
    return "this machine has no way to the nodes' addresses, or a firewall before them; --no-outside leaves it out";
  if (group.kind === "large") return problem?.likely ?? "a link with a smaller MTU, and nobody says so";
  const node = named(group, "to_node");
  if (node !== null && !has(group, "from_node") && !has(group, "way")) return ofNode(node, problem);
  if (has(group, "across"))
    return "the network between nodes (overlay, routes, security groups) does not carry it";
  if (has(group, "between")) return "a firewall, a route or a tunnel between these two nodes";
  switch (cell.way === named(group, "way") ? cell.way : null) {
    case "name":
      return problem?.code === "no_such_name" ? "the cluster's DNS" : "a stale address in the cluster's DNS";
    case "service":
      return "kube-proxy or what stands in for it, or a backend that is gone";
    case "nodeport":
      return "kube-proxy's rules for the NodePort, or a firewall before the node";
    case "self":
      return "the network plugin's bridge does not let a Pod's packets come back to it (hairpin mode)";
  }
  return problem?.likely ?? "not known";
}

/** Who refuses is there, and so is who accepts. */
function ofNode(node: string, problem: Problem | null): string {
  switch (problem?.code) {
    case "refused":
      return `no server runs on ${node}, or a firewall there refuses`;
    case "silent":
      return `what accepts on ${node} does not serve: it is stopped, or far too busy`;
    default:
      return `${node} is down, is cut off, or drops what comes to its Pods`;
  }
}

function isIn({ name, node }: Member, group: Group): boolean {
  return named(group, "to") === name || (node !== null && named(group, "to_node") === node);
}

/** Names are the cluster's: where one is not known it is not the asking Pod that is to blame. */
function whereOf(group: Group, problem: Problem | null, fleet: Fleet): Where {
  if (unreadyOf(group, fleet).length > 0) return "far_end";
  if (problem === null || problem.code === "no_such_name" || has(group, "policy")) return "path";
  return problem.where;
}

/** Members that a group names and that are not ready. */
function unreadyOf(group: Group, { members }: Fleet): Member[] {
  return members.filter((member) => !member.ready && isIn(member, group));
}

/** One command that looks further. */
function nextStep(group: Group, cell: Cell, { namespace, members }: Fleet, kubectl: string): string | null {
  const policy = named(group, "policy");
  if (policy !== null) return `${kubectl} describe networkpolicy ${policy} -n ${namespace}`;
  if (named(group, "way") === "service")
    return `${kubectl} get endpointslices -n ${namespace} -l kubernetes.io/service-name=${cell.to}`;
  const node = named(group, "to_node");
  if (node !== null && group.conditions!.length === 1)
    return `${kubectl} get pods -n ${namespace} -o wide --field-selector spec.nodeName=${node}`;
  const target = cell.result?.target;
  if (target === undefined) return null;
  const asked = `echo-server check ${target}${group.kind === "large" ? " --mtu" : ""}`;
  const member = members.find(({ name }) => name === cell.from);
  if (member === undefined) return asked;
  return `${kubectl} exec ${member.pod} -n ${namespace} -c ${member.container} -- ${asked}`;
}

/** `server1 to server2 by Pod address, udp` */
export function cellText({
  from,
  to,
  way,
  protocol,
}: Pick<Cell, "from" | "to" | "way" | "protocol">): string {
  return way === "self"
    ? `${from} to itself ${wayText(way)}, ${protocol}`
    : `${from} to ${to} ${wayText(way)}, ${protocol}`;
}
