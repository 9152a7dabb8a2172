import { type Cell, isHeldTo, type Kind, kindOf, type Way } from "./cell.ts";

/** What failing cells may have in common. */
export type Condition =
  | { readonly what: "policy" | "to_node" | "from_node" | "to" | "from"; readonly name: string }
  | { readonly what: "protocol"; readonly name: Cell["protocol"] }
  | { readonly what: "way"; readonly name: Cell["way"] }
  /** From one node to another; on one node. */
  | { readonly what: "across" | "within" }
  /** Two nodes, whichever asks: an echo needs both ways, so that one dead way fails both. */
  | { readonly what: "between"; readonly name: string; readonly other: string };

/** Failing cells, and what they have in common. */
export interface Group {
  readonly kind: Kind;
  /** What all of them share and no cell does that is well. Empty: nothing is well at all. Null: a rest that shares nothing. */
  readonly conditions: readonly Condition[] | null;
  /** Indices of the cells, rising. */
  readonly cells: readonly number[];
}

/** More problems than that nobody reads. */
const GROUPS_MAX = 3;

/** More conditions than that are no common ground but a list. */
const CONDITIONS_MAX = 3;

/**
 * The failing cells in `GROUPS_MAX` groups at most, the widest first; each failing cell is in one of them. It is a greedy
 * set cover: again and again the conditions that explain most of what is not explained yet, of equals the fewest ones.
 */
export function groupFailures(cells: readonly Cell[]): Group[] {
  const open = new Set(cells.flatMap((cell, at) => (cell.ok === false ? [at] : [])));
  const rules = rulesFor(cells, [...open]);
  const groups: Group[] = [];
  while (open.size > 0) {
    const rule = widest(rules, open);
    const explained = rule === null ? [] : explainedBy(rule, cells, open);
    const isLast = groups.length === GROUPS_MAX - 1;
    const share = rule === null || (isLast && explained.length < open.size) ? null : rule;
    const members = share === null ? [...open] : explained;
    groups.push({
      kind: share?.kind ?? worstOf(cells, members),
      conditions: share?.conditions ?? null,
      cells: members.sort((a, b) => a - b),
    });
    for (const at of members) open.delete(at);
  }
  return groups.sort((a, b) => b.cells.length - a.cells.length);
}

/** Conditions that hold of no cell that is well, and the failing cells of one kind that they hold of. */
interface Rule {
  readonly kind: Kind;
  readonly conditions: readonly Condition[];
  readonly covers: readonly number[];
}

/** Every rule there is, those with few conditions first, then those whose conditions say most (`conditionsOf`). */
function rulesFor(cells: readonly Cell[], failing: readonly number[]): Rule[] {
  const index = new ConditionIndex(cells);
  const rules = new Map<string, Rule>();
  for (let size = 0; size <= CONDITIONS_MAX; size++) {
    for (const at of failing) {
      const kind = kindOf(cells[at]!)!; // it fails
      for (const conditions of choices(conditionsOf(cells[at]!), size)) {
        const key = `${kind} ${conditions.map(keyOf).join(" ")}`;
        if (rules.has(key)) continue;
        const alike = index.matching(conditions);
        const holds = alike.every((other) => cells[other]!.ok !== true);
        const covers = holds ? alike.filter((other) => kindOf(cells[other]!) === kind) : [];
        rules.set(key, { kind, conditions, covers });
      }
    }
  }
  return [...rules.values()].filter(({ covers }) => covers.length > 0);
}

/** The rule that explains most of what is open; the first of equals. Null where none explains anything. */
function widest(rules: readonly Rule[], open: ReadonlySet<number>): Rule | null {
  let best: Rule | null = null;
  let most = 0;
  for (const rule of rules) {
    const count = rule.covers.reduce((sum, at) => sum + (open.has(at) ? 1 : 0), 0);
    if (count > most) [best, most] = [rule, count];
  }
  return best;
}

/** Ways that choose a member for each flow. A node's port does so for Pods even where it is Local (kube-proxy). */
const CHOOSING: readonly Way[] = ["service", "nodeport"];

/**
 * The open cells that a rule explains: those that it covers, and those of a way that chooses members which fail in part,
 * since it sends some flows to a member whom the one who asks cannot reach for that very reason.
 */
function explainedBy(rule: Rule, cells: readonly Cell[], open: ReadonlySet<number>): number[] {
  const { covers, kind } = rule;
  const cut = new Set(covers.map((at) => askerOf(cells[at]!)));
  // A member that nobody reaches does not reach itself either, and it is not asked that where it has no Service of its own.
  if (isFarEnd(rule))
    for (const at of covers) cut.add(askerOf({ from: cells[at]!.to, protocol: cells[at]!.protocol }));
  return [...open].filter((at) => {
    if (covers.includes(at)) return true;
    const cell = cells[at]!;
    const inPart = CHOOSING.includes(cell.way) && kindOf(cell) !== "nothing" && kind !== "some";
    return inPart && cut.has(askerOf(cell));
  });
}

/** Whether it is the same whoever asks. */
function isFarEnd({ conditions }: Rule): boolean {
  const ends = conditions.map(({ what }) => what);
  return (
    ends.some((what) => what === "to" || what === "to_node") &&
    ends.every((what) => !["from", "from_node", "between", "across", "within"].includes(what))
  );
}

function askerOf({ from, protocol }: Pick<Cell, "from" | "protocol">): string {
  return `${from} ${protocol}`;
}

function worstOf(cells: readonly Cell[], members: readonly number[]): Kind {
  const kinds = new Set(members.map((at) => kindOf(cells[at]!)));
  return kinds.has("nothing") ? "nothing" : kinds.has("some") ? "some" : "large";
}

/** The conditions that hold of a cell, those first that say most about a cause. */
function conditionsOf(cell: Cell): Condition[] {
  const { from, fromNode, to, toNode, way, protocol, policy } = cell;
  const conditions: Condition[] = [];
  if (policy !== null && isHeldTo(cell)) conditions.push({ what: "policy", name: policy });
  if (toNode !== null) conditions.push({ what: "to_node", name: toNode });
  if (fromNode !== null) conditions.push({ what: "from_node", name: fromNode });
  conditions.push({ what: "protocol", name: protocol }, { what: "way", name: way });
  if (fromNode !== null && toNode !== null) {
    conditions.push({ what: fromNode === toNode ? "within" : "across" });
    if (fromNode !== toNode) {
      const [name, other] = [fromNode, toNode].sort() as [string, string];
      conditions.push({ what: "between", name, other });
    }
  }
  conditions.push({ what: "to", name: to }, { what: "from", name: from });
  return conditions;
}

function keyOf(condition: Condition): string {
  const name = "name" in condition ? condition.name : "";
  return `${condition.what}=${name}${"other" in condition ? `,${condition.other}` : ""}`;
}

/** Every choice of `size` of the items, in their order. */
function choices<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, at) => choices(items.slice(at + 1), size - 1).map((rest) => [item, ...rest]));
}

/** The measured cells by condition. */
class ConditionIndex {
  readonly #all: readonly number[];
  readonly #by = new Map<string, Set<number>>();

  constructor(cells: readonly Cell[]) {
    this.#all = cells.flatMap(({ ok }, at) => (ok === null ? [] : [at]));
    for (const at of this.#all) {
      for (const condition of conditionsOf(cells[at]!)) {
        const key = keyOf(condition);
        const set = this.#by.get(key) ?? new Set();
        this.#by.set(key, set.add(at));
      }
    }
  }

  /** The cells that all conditions hold of. */
  matching(conditions: readonly Condition[]): readonly number[] {
    const sets = conditions.map((condition) => this.#by.get(keyOf(condition)) ?? new Set<number>());
    const [smallest, ...others] = sets.sort((a, b) => a.size - b.size);
    if (smallest === undefined) return this.#all;
    return [...smallest].filter((at) => others.every((set) => set.has(at)));
  }
}
