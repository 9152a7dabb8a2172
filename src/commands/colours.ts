import { isatty } from "node:tty";
import type { Environment } from "../options/environment.ts";

const STDOUT = 1;

/** As no-color.org has it: on a terminal, unless somebody said no. */
export function wantsColours({ NO_COLOR, TERM }: Environment): boolean {
  return isatty(STDOUT) && (NO_COLOR ?? "") === "" && TERM !== "dumb";
}
