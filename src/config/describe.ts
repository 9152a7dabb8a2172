import { GROUPS, OPTIONS, type Option, variableOf } from "./options.ts";

/** The flag as help shows it: `--tcp-port <port>`. */
export function flagTerm({ flag, kind }: Option<unknown>): string {
  return kind.placeholder === "" ? flag : `${flag} <${kind.placeholder}>`;
}

/** The default in words. */
export function defaultTerm(option: Option<unknown>): string {
  if (option.default === null) return option.defaultNote ?? "";
  return option.kind.placeholder === "" ? "" : option.default;
}

/** What the option does and what it takes. */
export function meaning({ help, kind }: Option<unknown>): string {
  return kind.namedInHelp ? help : `${help}; allowed: ${kind.allowed}`;
}

/** The options as a Markdown table, for docs/flags.md. */
export function flagTable(): string {
  const rows: string[] = ["| flag | variable | default | meaning |", "|---|---|---|---|"];
  for (const group of GROUPS) {
    rows.push(`| **${group}** | | | |`);
    for (const option of Object.values<Option<unknown>>(OPTIONS).filter((row) => row.group === group)) {
      rows.push(`| ${cells(option).join(" | ")} |`);
    }
  }
  return `${rows.join("\n")}\n`;
}

function cells(option: Option<unknown>): string[] {
  const { flag } = option;
  const byDefault = option.default === null ? option.defaultNote! : `\`${defaultTerm(option) || "off"}\``;
  return [`\`${flag}\``, `\`${variableOf(flag)}\``, byDefault, meaning(option)].map((cell) =>
    cell.replaceAll("|", "\\|"),
  );
}
