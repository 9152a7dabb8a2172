import { StartError } from "../errors.ts";
import { endpointOf, formatEndpoint } from "./endpoint.ts";

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "no permission to bind this port (below 1024: root or CAP_NET_BIND_SERVICE)",
  EPERM: "not permitted",
  EADDRNOTAVAIL: "this host does not have that address",
  EAFNOSUPPORT: "this host has no IPv6",
};

/** Whether it was that the port is taken, and another may do. */
export function isPortInUse(error: unknown): boolean {
  return error instanceof StartError && error.code === "EADDRINUSE";
}

/**
 * What a socket that could not be bound tells the person at the keyboard, in one line.
 * @param code the system's name of the error, such as `EADDRINUSE`, or what else is known of it
 */
export function bindFailure(
  what: "tcp" | "udp" | "admin",
  host: string,
  port: number,
  code: string,
): StartError {
  const endpoint = endpointOf(host, port);
  const text = endpoint === null ? `${host}:${port}` : formatEndpoint(endpoint);
  return new StartError(`cannot listen on ${what} ${text}: ${WHY[code] ?? code}`, code);
}
