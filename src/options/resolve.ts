import { printable, UsageError } from "../errors.ts";
import { type Environment, variableText } from "./environment.ts";
import type { Kind } from "./kinds.ts";
import { type Option, type Rows, type Table, type ValuesOf, variableOf } from "./table.ts";

/** What flags gave, as text, by the name of the option: each time that its flag stood there. */
export type GivenTexts<R extends Rows = Rows> = Readonly<Partial<Record<keyof R, readonly string[]>>>;

/**
 * Checks what was given and fills in the rest: a flag counts before its variable, that before the default.
 * @throws UsageError that names the option, the value and what is allowed
 */
export function resolve<R extends Rows>(
  table: Table<R>,
  given: GivenTexts<R>,
  env: Environment,
): ValuesOf<R> {
  const values: Partial<Record<keyof R, unknown>> = {};
  for (const name of Object.keys(table.rows) as (keyof R)[]) {
    const option: Option<unknown> = table.rows[name]!;
    const texts = given[name] ?? [];
    values[name] =
      texts.length > 0
        ? valueOfFlags(option, texts)
        : valueWithoutFlag(option, variableOf(table, option), env);
  }
  return values as ValuesOf<R>; // every name of the table was set just now, by its own row
}

function valueOfFlags<T>(option: Option<T>, texts: readonly string[]): T {
  const { flag, kind } = option;
  const values = texts.map((text) => parse(kind, `${flag} ${text}`.trimEnd(), text));
  return option.whenRepeated === undefined ? values.at(-1)! : option.whenRepeated(values);
}

/** The value of an option that no flag gave. */
function valueWithoutFlag<T>(option: Option<T>, variable: string | null, env: Environment): T | null {
  const { flag, kind } = option;
  const text = variable === null ? undefined : variableText(env, variable);
  if (text !== undefined) return parse(kind, `${variable}=${text}`, text);
  return option.default === null ? null : parse(kind, `default of ${flag}`, option.default);
}

/**
 * Reads one text as a kind of value.
 * @param said what the error repeats: the option or argument, with the text
 * @throws UsageError in one line that says what is allowed
 */
export function parse<T>(kind: Kind<T>, said: string, text: string): T {
  const value = kind.parse(text);
  if (value === undefined)
    throw new UsageError(`${printable(said)} is not allowed; allowed: ${kind.allowed}`);
  return value;
}
