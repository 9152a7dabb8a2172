import { StartError } from "../errors.ts";
import { formatEndpoint, parseAddress } from "../net/address.ts";

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "no permission to bind this port (below 1024: root or CAP_NET_BIND_SERVICE)",
  EPERM: "not permitted",
  EADDRNOTAVAIL: "this host does not have that address",
  EAFNOSUPPORT: "this host has no IPv6",
};

const IN_USE = WHY["EADDRINUSE"]!;

/** Whether it was that the port is taken, and another may do. */
export function isPortInUse(error: unknown): boolean {
  return error instanceof StartError && error.message.endsWith(IN_USE);
}

/**
 * What a socket that could not be bound tells the person at the keyboard, in one line.
 * @param code the system's name of the error, such as `EADDRINUSE`, or what else is known of it
 */
export function bindFailure(protocol: "tcp" | "udp", host: string, port: number, code: string): StartError {
  const address = parseAddress(host);
  const endpoint = address === null ? `${host}:${port}` : formatEndpoint(address, port);
  return new StartError(`cannot listen on ${protocol} ${endpoint}: ${WHY[code] ?? code}`);
}
