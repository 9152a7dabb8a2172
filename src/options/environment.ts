import { printable, UsageError } from "../errors.ts";
import { nearest } from "./spelling.ts";
import { type Table, variableOf } from "./table.ts";

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

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

/** The text of a variable; undefined when it is not set, empty, or a Service's address. */
export function variableText(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === "" || isServiceLink(name, value) ? undefined : value;
}

/** Every variable of the table, and those that are read beside it. */
function knownVariables(table: Table): Set<string> {
  const options = Object.values(table.rows).flatMap((option) => variableOf(table, option) ?? []);
  return new Set([...(table.variables?.besides ?? []), ...options]);
}

/** Variables with the table's prefix that nothing reads: most likely a misspelt option. */
export function unknownVariables(env: Environment, table: Table): string[] {
  if (table.variables === null) return [];
  const { prefix, others = [] } = table.variables;
  const known = knownVariables(table);
  return Object.entries(env)
    .filter(([name]) => name.startsWith(prefix) && !known.has(name))
    .filter(([name]) => !others.some((other) => name.startsWith(other)))
    .filter(([name, value]) => !isServiceLink(name, value ?? ""))
    .map(([name]) => name)
    .sort();
}

/**
 * A setting that does nothing would be believed to do something.
 * @param command whose help lists those that are read
 * @throws UsageError that names the first variable that nothing reads, and the one that may have been meant
 */
export function refuseUnknownVariables(env: Environment, table: Table, command: string): void {
  const [name] = unknownVariables(env, table);
  if (name === undefined) return;
  const meant = nearest(name, knownVariables(table));
  const hint = meant === null ? "" : ` (did you mean ${meant}?)`;
  throw new UsageError(`${printable(name)} is unknown${hint}; allowed: see echo-server ${command} --help`);
}
