import type { TCPSocketListener, TCPSocketListenOptions } from "bun";
import { StartError } from "../../errors.ts";
import { formatEndpoint, parseAddress } from "../../rules/address.ts";
import { loadLibc } from "../../sys/libc.ts";
import { bindError, descriptorOf, noIPv6, onOnePort } from "./bind.ts";
import { limitWindow, READ_BYTES_MAX } from "./memory.ts";

/** Connections that may wait to be accepted (the kernel caps it at net.core.somaxconn). */
const BACKLOG = 4096;

/** What Bun.listen takes beside what its types say. */
interface ListenOptions<Data> extends TCPSocketListenOptions<Data> {
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
}

/** How the listeners of a loop are made. */
export interface Listening<Data> {
  readonly hosts: readonly string[];
  /** 0: any free one, the same for all hosts. */
  readonly port: number;
  /** Several loops listen on the same port: SO_REUSEPORT. */
  readonly shared: boolean;
  /** Sessions must not be handed more than this at once. */
  readonly maxQueuedBytes: number;
  readonly handlers: TCPSocketListenOptions<Data>["socket"];
  readonly data: Data;
}

/**
 * Opens a listener per host. `::` takes IPv4 too, unless `0.0.0.0` is listed as well; where there is no IPv6 it is
 * `0.0.0.0`. A client's FIN leaves the way back open (half-close), and the backlog is raised where libc can be called.
 * @throws StartError in one line: in use, no permission, no such address
 */
export function listenTcp<Data>(listening: Listening<Data>): Promise<TCPSocketListener<Data>[]> {
  return onOnePort(listening.port, async (wanted) => {
    const listeners: TCPSocketListener<Data>[] = [];
    let port = wanted;
    try {
      for (const host of listening.hosts) {
        const listener = listenOn(host, port, listening);
        if (listener === null) continue;
        listeners.push(listener);
        ({ port } = listener);
      }
      return listeners;
    } catch (error) {
      for (const listener of listeners) listener.stop(true);
      throw error;
    }
  });
}

/** One listener; null for `::` where there is no IPv6 and `0.0.0.0` is listed beside it. */
function listenOn<Data>(
  host: string,
  port: number,
  listening: Listening<Data>,
): TCPSocketListener<Data> | null {
  if (parseAddress(host) === null) throw new StartError(`tcp: --host ${host} is not an IP address`);
  const beside4 = listening.hosts.includes("0.0.0.0");
  const options: ListenOptions<Data> = {
    hostname: host,
    port,
    reusePort: listening.shared,
    ipv6Only: host === "::" && beside4,
    allowHalfOpen: true,
    socket: listening.handlers,
    data: listening.data,
  };
  try {
    const listener = Bun.listen<Data>(options);
    raiseBacklog(descriptorOf(listener));
    if (listening.maxQueuedBytes < READ_BYTES_MAX) {
      limitWindow(descriptorOf(listener), listening.maxQueuedBytes); // what it accepts inherits it
    }
    return listener;
  } catch (error) {
    if (!noIPv6(host, error)) throw bindError("tcp", host, port, error);
    return beside4 ? null : listenOn("0.0.0.0", port, listening);
  }
}

/** Bun's backlog is 512 whatever one asks for; listen(2) may be called again on a listening socket to change it. */
function raiseBacklog(fd: number): void {
  try {
    if (fd >= 0) loadLibc().listen(fd, BACKLOG);
  } catch {
    // Not Linux: Bun's own backlog stays.
  }
}

/** `0.0.0.0:80` or `[::]:80`. */
export function describeListener({ hostname, port }: { hostname: string; port: number }): string {
  const address = parseAddress(hostname);
  return address === null ? `${hostname}:${port}` : formatEndpoint(address, port);
}
