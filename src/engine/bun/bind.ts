import { StartError } from "../../errors.ts";
import { bindFailure, isPortInUse } from "../../net/bind-failure.ts";

/** Tries to find one free port for all of a loop's sockets of a protocol, where any will do. */
const PORT_TRIES = 20;

/** The system's name of what went wrong, such as `EADDRINUSE`; empty where the error names none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** The error for a socket that could not be bound, in one line for the person at the keyboard. */
export function bindError(protocol: "tcp" | "udp", host: string, port: number, error: unknown): StartError {
  if (error instanceof StartError) return error;
  const code = errorCode(error);
  return bindFailure(protocol, host, port, code === "" ? String(error) : code);
}

/** Whether `::` failed because there is no IPv6 here: then 0.0.0.0 is listened on in its place. */
export function noIPv6(host: string, error: unknown): boolean {
  const code = errorCode(error);
  return host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL" || code === "EPROTONOSUPPORT");
}

/**
 * Binds several sockets to one port: the first chooses it where `port` is 0, and where the others cannot follow,
 * another is tried. What a failed try had bound, `attempt` must have freed.
 * @param attempt binds all to `port`; throws what the system says
 */
export async function onOnePort<T>(port: number, attempt: (port: number) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt(port);
    } catch (error) {
      if (port !== 0 || !isPortInUse(error) || tries === PORT_TRIES) throw error;
    }
  }
}

/** The descriptor under a socket or listener of Bun's (which its types do not tell), -1 where it has none. */
export function descriptorOf(socket: object): number {
  return "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
}
