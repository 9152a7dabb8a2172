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

/** Variables with the table's prefix that nothing reads: most likely a misspelt option. */
export function unknownVariables(env: Environment, table: Table): string[] {
  if (table.variables === null) return [];
  const { prefix, besides = [], others = [] } = table.variables;
  const known = new Set<string | null>(besides);
  for (const option of Object.values(table.rows)) known.add(variableOf(table, option));
  return Object.entries(env)
    .filter(([name]) => name.startsWith(prefix) && !known.has(name))
    .filter(([name]) => !others.some((other) => name.startsWith(other)))
    .filter(([name, value]) => !isServiceLink(name, value ?? ""))
    .map(([name]) => name)
    .sort();
}
