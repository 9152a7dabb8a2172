import type { Kind } from "./kinds.ts";
import { type Option, type Table, variableOf } from "./table.ts";

/** The flags as help shows them: `--tcp-port <port>`, `-c, --connections <n>`. */
export function flagTerm({ flag, short: [first] = [], kind }: Option<unknown>): string {
  return `${first === undefined ? flag : `${first}, ${flag}`}${valueTerm(kind)}`;
}

/** What follows a flag: ` <port>`, or nothing. */
export function valueTerm({ placeholder }: Kind<unknown>): string {
  return placeholder === "" ? "" : ` <${placeholder}>`;
}

/** What help says of an option: what it does and takes, its variable, its default. */
export function helpText(table: Table, option: Option<unknown>): string {
  const variable = variableOf(table, option) ?? "";
  const byDefault = defaultTerm(option);
  const notes = [variable, byDefault && `default ${byDefault}`].filter((note) => note !== "");
  return notes.length === 0 ? meaning(option) : `${meaning(option)}\n[${notes.join("; ")}]`;
}

/** A table's options in Markdown, under the headings of their groups. */
export function flagTable(table: Table): string {
  const heads = table.variables === null ? ["flag"] : ["flag", "variable"];
  const lines = [row([...heads, "default", "meaning"]), `${"|---".repeat(heads.length + 2)}|`];
  let group: string | undefined;
  for (const option of byGroup(Object.values(table.rows))) {
    if (option.group !== group) {
      group = option.group;
      lines.push(`| **${group ?? "Options"}** |${" |".repeat(heads.length + 1)}`);
    }
    lines.push(row(cells(table, option)));
  }
  return `${lines.join("\n")}\n`;
}

/** Groups in the order in which each is first named, as help has them. */
function byGroup(options: readonly Option<unknown>[]): Option<unknown>[] {
  const groups = new Map<string | undefined, Option<unknown>[]>();
  for (const option of options) groups.set(option.group, [...(groups.get(option.group) ?? []), option]);
  return [...groups.values()].flat();
}

function cells(table: Table, option: Option<unknown>): string[] {
  const { flag, short = [] } = option;
  const flags = [...short, flag].map((each) => `\`${each}\``).join(", ");
  const variable = variableOf(table, option);
  const byDefault =
    option.default === null ? (option.defaultNote ?? "") : `\`${defaultTerm(option) || "off"}\``;
  return [flags, ...(variable === null ? [] : [`\`${variable}\``]), byDefault, meaning(option)];
}

function row(texts: readonly string[]): string {
  return `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** The default in words. */
function defaultTerm(option: Option<unknown>): string {
  if (option.default === null) return option.defaultNote ?? "";
  return option.kind.placeholder === "" ? "" : option.default;
}

/** What the option does and what it takes. */
function meaning({ help, kind }: Option<unknown>): string {
  return kind.namedInHelp ? help : `${help}; allowed: ${kind.allowed}`;
}
