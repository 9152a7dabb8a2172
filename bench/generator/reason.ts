import type { Failure } from "../../src/client/failure.ts";

/** Error numbers that a client meets, in words (errno(3), the same on x86-64 and arm64). */
const REASONS: Readonly<Record<number, string>> = {
  1: "not permitted (EPERM)",
  11: "no local port is left (EAGAIN)",
  13: "permission denied (EACCES)",
  22: "not possible (EINVAL)",
  24: "too many open files (EMFILE): raise the limit with ulimit -n",
  97: "no such address family here (EAFNOSUPPORT)",
  98: "the address is in use (EADDRINUSE)",
  99: "no such address here, or no local port is left (EADDRNOTAVAIL)",
  101: "the network cannot be reached (ENETUNREACH)",
  103: "the connection was ended (ECONNABORTED)",
  104: "the connection was reset (ECONNRESET)",
  110: "no answer in time (ETIMEDOUT)",
  111: "connection refused (ECONNREFUSED)",
  113: "no way to that host (EHOSTUNREACH)",
};

/** What an error number says. */
export function reason(errno: number): string {
  return REASONS[errno] ?? `error ${errno}`;
}

/** What a failure says, in the same words where the system has told its own. */
export function reasonOf(failure: Failure): string {
  const { detail } = failure;
  const known = Object.values(REASONS).find((words) => detail !== "" && words.includes(`(${detail})`));
  return known ?? failure.toString();
}

/** `127.0.0.1:1234`, `[::1]:1234`; without its port where that is 0. */
export function hostPort(host: string, port: number): string {
  const written = host.includes(":") ? `[${host}]` : host;
  return port === 0 ? host : `${written}:${port}`;
}
