import { type Command, Option as Flag } from "commander";
import { flagTerm, helpText, valueTerm } from "./describe.ts";
import type { GivenTexts } from "./resolve.ts";
import type { Option, Rows, Table } from "./table.ts";

/**
 * Makes a command line know the flags of a table.
 * @returns what they gave, which is filled in as the command line is parsed
 */
export function addFlags<R extends Rows>(command: Command, table: Table<R>): GivenTexts<R> {
  const given: Partial<Record<keyof R, string[]>> = {};
  for (const name of Object.keys(table.rows) as (keyof R)[]) {
    const keep = (text: string | undefined): void => {
      given[name] = [...(given[name] ?? []), text ?? "true"]; // a toggle has no text of its own
    };
    for (const flag of flagsOf(table, table.rows[name]!)) {
      command.addOption(flag);
      command.on(`option:${flag.name()}`, keep);
    }
  }
  return given;
}

/** Commander knows one short flag an option: those beyond it are options of their own, which help leaves out. */
function flagsOf(table: Table, option: Option<unknown>): Flag[] {
  const { short: [, ...others] = [], group, kind } = option;
  const shown = new Flag(flagTerm(option), helpText(table, option));
  if (group !== undefined) shown.helpGroup(`${group}:`);
  return [shown, ...others.map((flag) => new Flag(`${flag}${valueTerm(kind)}`).hideHelp())];
}
