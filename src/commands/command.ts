import type { Environment } from "../options/environment.ts";
import type { Rows, Table, ValuesOf } from "../options/table.ts";

/**
 * One command of the program: how it is asked for, and what it does. A command's file is read whenever the program
 * starts, whichever command was asked for; so what does the work is imported in `run`, not at its head.
 */
export interface Command<R extends Rows = Rows, Task = unknown> {
  readonly name: string;
  /** What a command line without a command's name means. */
  readonly isDefault?: true;
  /** One line for help, without a full stop. */
  readonly about: string;
  readonly argument?: Argument;
  readonly table: Table<R>;
  /** What help says after the flags: examples above all. */
  readonly helpAfter: string;
  /**
   * Checks all that was asked for together, each value being right by itself.
   * @throws UsageError for what cannot be done
   */
  plan(asked: Asked<R>): Task;
  /** Does it. Resolves when the process has nothing more to do. */
  run(task: Task, access: ProcessAccess): Promise<Outcome>;
}

/** What stands on the command line without a flag. */
interface Argument {
  /** `[question]`; `<target...>` is one at least, and any number. */
  readonly term: string;
  readonly about: string;
  readonly default?: string;
}

/** What a command line and the environment ask of a command. */
export interface Asked<R extends Rows> {
  readonly options: ValuesOf<R>;
  /** Its arguments, or the default of the one that was left out. */
  readonly words: readonly string[];
  readonly env: Environment;
}

/** What the process lends a command: only the process itself touches signals, variables and exit codes. */
interface ProcessAccess {
  readonly env: Environment;
  /** Aborts at the first signal to end; its reason is the signal's name. */
  readonly shutdown: AbortSignal;
  /** From now on the first signal ends the process: there is nothing to bring to an orderly end. */
  endBySignal(): void;
  /** Has `act` called at the process's end, however that comes; it may take `patienceMs`. */
  onExit(act: (patienceMs: number) => void): void;
  /** Has `print` called at each SIGUSR1: the person wants to know how it is going. */
  onSummary(print: () => void): void;
  /** Has `inject` called at each SIGUSR2. */
  onFault(inject: () => void): void;
}

/** How a command ended. */
export interface Outcome {
  readonly exitCode: number;
  /** The last thing to say on standard output. */
  readonly text?: string;
}
