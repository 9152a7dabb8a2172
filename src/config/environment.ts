import { printable, UsageError } from "../errors.ts";
import { OPTIONS, variableOf } from "./options.ts";
import { nearest } from "./spelling.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of the downward API, by the banner field that shows them. */
export const BANNER_VARIABLES = {
  pod: "ECHO_POD_NAME",
  node: "ECHO_NODE_NAME",
  namespace: "ECHO_NAMESPACE",
} as const;

/**
 * Kubernetes puts the address of every Service into the environment: a Service named `echo-server` makes
 * ECHO_SERVER_SERVICE_HOST, ECHO_SERVER_PORT=tcp://10.0.0.1:1234 and ECHO_SERVER_PORT_1234_TCP_ADDR, and one named
 * `echo-tcp` even ECHO_TCP_PORT=tcp://... None of these is an option, whatever it is called.
 */
export function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT(_\w+)?)$/.test(name)) return true;
  if (/_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value);
}

/** The text a variable gives to an option; undefined when it is not set, empty, or a Service's address. */
export function optionText(env: Environment, flag: string): string | undefined {
  const name = variableOf(flag);
  const value = env[name];
  return value === undefined || value === "" || isServiceLink(name, value) ? undefined : value;
}

/** Variables of the diagnosis commands and of this project's own tests: not the server's, and no mistake. */
const OF_OTHERS = /^ECHO_(CHECK|WATCH|FLEET|MESH|TEST|E2E)_/;

/** Every `ECHO_*` variable that the server reads. */
function knownVariables(): Set<string> {
  const options = Object.values(OPTIONS).map(({ flag }) => variableOf(flag));
  return new Set([...Object.values(BANNER_VARIABLES), ...options]);
}

/** `ECHO_*` variables that nothing reads: most likely a misspelt option. */
export function unknownVariables(env: Environment): string[] {
  const known = knownVariables();
  return Object.entries(env)
    .filter(([name]) => name.startsWith("ECHO_") && !known.has(name) && !OF_OTHERS.test(name))
    .filter(([name, value]) => !isServiceLink(name, value ?? ""))
    .map(([name]) => name)
    .sort();
}

/**
 * A setting that does nothing would be believed to do something.
 * @throws UsageError that names the first variable that nothing reads, and the one that may have been meant
 */
export function refuseUnknownVariables(env: Environment): void {
  const [name] = unknownVariables(env);
  if (name === undefined) return;
  const meant = nearest(name, knownVariables());
  const hint = meant === null ? "" : ` (did you mean ${meant}?)`;
  throw new UsageError(`${printable(name)} is unknown${hint}; allowed: see echo-server serve --help`);
}
