import type { Kind } from "./kinds.ts";

/** One option: all that is known about it. Its flags, variable, check, help and documentation come from here. */
export interface Option<T> {
  /** The long flag: `--tcp-port`. */
  readonly flag: `--${string}`;
  /** Short flags that mean the same: `-c`. Help shows the first. */
  readonly short?: readonly `-${string}`[];
  /** The heading under which help lists it; without one it stands under "Options". */
  readonly group?: string;
  readonly kind: Kind<T>;
  /** Read as a person's text would be; null where there is none, or where it depends on the machine. */
  readonly default: string | null;
  /** What a default of null means, for help. */
  readonly defaultNote?: string;
  /** One line for help, without a full stop. */
  readonly help: string;
  /** Makes one value of those of a flag that was given again. Without it the last one counts. */
  whenRepeated?(values: readonly T[]): T;
}

/** A row of a table. Its value is null where nobody gave one and the row has no default. */
export function option<T>(row: Option<T> & { readonly default: string }): Option<T>;
export function option<T>(row: Option<T> & { readonly default: null }): Option<T | null>;
export function option<T>(row: Option<T>): Option<T | null> {
  return row;
}

/** Options by the name of their value, in the order of the help. */
export type Rows = Readonly<Record<string, Option<unknown>>>;

/** The environment variables of a table. */
export interface Variables {
  /** With `ECHO_`, `--tcp-port` is `ECHO_TCP_PORT`. */
  readonly prefix: string;
  /** Names that begin so and are read, but are no option. */
  readonly besides?: readonly string[];
  /** Longer prefixes that belong to others: what begins so is neither an option nor a mistake. */
  readonly others?: readonly string[];
}

/** The options of one command. */
export interface Table<R extends Rows = Rows> {
  /** Null where flags alone count. */
  readonly variables: Variables | null;
  readonly rows: R;
}

/** The checked values of a table's options. */
export type ValuesOf<R extends Rows> = {
  readonly [Name in keyof R]: R[Name] extends Option<infer T> ? T : never;
};

/** The variable of an option, null where its table has none. */
export function variableOf({ variables }: Table, { flag }: Option<unknown>): string | null {
  return variables && variables.prefix + flag.slice(2).replaceAll("-", "_").toUpperCase();
}
