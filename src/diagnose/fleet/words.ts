import type { Way } from "./cell.ts";
import type { Condition, Group } from "./group.ts";

/** Groups of failing cells, in words. */

const WAYS: Readonly<Record<Way, string>> = {
  pod: "by Pod address",
  name: "by name",
  service: "by the Service",
  nodeport: "by NodePort",
  self: "through a Service of its own (hairpin)",
};

/** A way, as it stands in a sentence. */
export function wayText(way: Way): string {
  return WAYS[way];
}

/** What is wrong, in one line without a full stop. */
export function groupText({ kind, conditions, cells }: Group): string {
  if (conditions === null) {
    const these = cells.length === 1 ? "1 way fails" : `${cells.length} ways fail`;
    return `${these} that ${cells.length === 1 ? "shares" : "share"} nothing with others`;
  }
  const policy = nameIn(conditions, "policy");
  const all = `${subject(kind, conditions)} ${predicate(kind, conditions)}${tail(kind, conditions)}`;
  return policy === null ? all : `NetworkPolicy ${policy} forbids it: ${all}`;
}

/** `no UDP`, `nothing`, `no large TCP message`, `not every echo` */
function subject(kind: Group["kind"], conditions: readonly Condition[]): string {
  const protocol = nameIn(conditions, "protocol")?.toUpperCase() ?? null;
  const word = protocol === null ? "" : `${protocol} `;
  switch (kind) {
    case "nothing":
      return protocol === null ? "nothing" : `no ${protocol}`;
    case "large":
      return `no large ${word}message`;
    case "some":
      return `not every ${word}echo`;
  }
}

function predicate(kind: Group["kind"], conditions: readonly Condition[]): string {
  const [from, to] = [placeOf(conditions, "from"), placeOf(conditions, "to")];
  const between = conditions.find((each) => each.what === "between");
  const ways = [
    ...(between === undefined ? [] : [`between ${between.name} and ${between.other}`]),
    ...(conditions.some(({ what }) => what === "across") ? ["from one node to another"] : []),
    ...(conditions.some(({ what }) => what === "within") ? ["within one node"] : []),
  ];
  const way = wayOf(conditions);
  const by = way === null ? "" : ` ${WAYS[way]}`;
  const byAny = way === null ? ", by any way" : "";
  if (ways.length === 0 && to !== null && from === null) {
    return kind === "some"
      ? `comes back from ${to}${by}, whoever asks${byAny}`
      : `reaches ${to}${by}, from anywhere${byAny}`;
  }
  const ends = [
    ...(from === null ? [] : [`from ${from}`]),
    ...(to === null ? [] : [`to ${to}`]),
    ...(from !== null && to === null && ways.length === 0 ? ["to anywhere"] : []),
  ];
  const isWide = ways.length === 0 && (from === null || to === null);
  const verb = kind === "some" ? "comes back" : "passes";
  return `${[verb, ...ways, ...ends].join(" ")}${by}${isWide ? byAny : ""}`;
}

/** `node2`; of a member and its node both. Null where neither is given. */
function placeOf(conditions: readonly Condition[], end: "from" | "to"): string | null {
  const names = [nameIn(conditions, end), nameIn(conditions, `${end}_node`)].filter((name) => name !== null);
  return names.length === 0 ? null : [...new Set(names)].join(" on ");
}

function wayOf(conditions: readonly Condition[]): Way | null {
  return conditions.find((each) => each.what === "way")?.name ?? null;
}

function tail(kind: Group["kind"], conditions: readonly Condition[]): string {
  if (kind === "large") return "; small ones do";
  const isPair = conditions.some(({ what }) => what === "between");
  return isPair && kind === "nothing" ? "; which of the two ways is dead an echo cannot tell" : "";
}

function nameIn(conditions: readonly Condition[], what: Condition["what"]): string | null {
  const found = conditions.find((each) => each.what === what);
  return found !== undefined && "name" in found ? found.name : null;
}
