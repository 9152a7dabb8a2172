import type { TCPSocketListener, TCPSocketListenOptions } from "bun";
import { StartError } from "../../errors.ts";
import { parseAddress } from "../../net/address.ts";
import { errnoText, F_DUPFD_CLOEXEC, loadLibc } from "../../sys/libc.ts";
import { BACKLOG } from "../../sys/socket.ts";
import type { BoundSocket } from "../bind.ts";
import { bindError, noIPv6, onOnePort } from "./bind.ts";
import { limitWindow, READ_BYTES_MAX } from "./memory.ts";

/** What Bun.listen takes beside what its types say. */
interface ListenOptions<Data> extends TCPSocketListenOptions<Data> {
  readonly reusePort?: boolean;
  readonly ipv6Only?: boolean;
  /** In place of address and port: a listening socket, which Bun closes in the end. */
  readonly fd?: number;
}

/** How the listeners of a loop are made. */
export interface Listening<Data> {
  /** Sessions must not be handed more than this at once. */
  readonly maxQueuedBytes: number;
  readonly handlers: TCPSocketListenOptions<Data>["socket"];
  readonly data: Data;
}

/** Takes over a socket of the control plane's, which keeps it: Bun gets a descriptor of its own. */
export async function adoptTcp<Data>(
  { fd }: BoundSocket,
  listening: Listening<Data>,
): Promise<TCPSocketListener<Data>> {
  if (listening.maxQueuedBytes < READ_BYTES_MAX) limitWindow(fd, listening.maxQueuedBytes); // what it accepts inherits it
  const listener = await onOwnDescriptor(fd, (own) => {
    const { handlers: socket, data } = listening;
    // Bun wants no address beside a descriptor; its types want one.
    const options = { fd: own, allowHalfOpen: true, socket, data } as unknown as ListenOptions<Data>;
    return Bun.listen<Data>(options);
  });
  loadLibc().listen(fd, BACKLOG); // Bun has made it 512
  return listener;
}

/**
 * Gives a socket of Bun's a descriptor of its own for the control plane's `fd`.
 * Rejects with what `adopt` throws, or where there is no descriptor; then none is left open.
 */
export async function onOwnDescriptor<T>(fd: number, adopt: (own: number) => T | Promise<T>): Promise<T> {
  const own = loadLibc().fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) throw new Error(`fcntl failed: ${errnoText(loadLibc().errno())}`);
  try {
    return await adopt(own);
  } catch (error) {
    loadLibc().close(own);
    throw error;
  }
}

/**
 * Opens a listener per host, where there is no libc. `::` takes IPv4 too, unless `0.0.0.0` is listed as well; where
 * there is no IPv6 it is `0.0.0.0`. A client's FIN leaves the way back open (half-close).
 * @param port 0: any free one, the same for all hosts
 * @throws StartError in one line: in use, no permission, no such address
 */
export function listenTcp<Data>(
  hosts: readonly string[],
  port: number,
  listening: Listening<Data>,
): Promise<TCPSocketListener<Data>[]> {
  return onOnePort(port, async (wanted) => {
    const listeners: TCPSocketListener<Data>[] = [];
    let chosen = wanted;
    try {
      for (const host of hosts) {
        const listener = listenOn(host, chosen, hosts.includes("0.0.0.0"), listening);
        if (listener === null) continue;
        listeners.push(listener);
        chosen = listener.port;
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
  beside4: boolean,
  listening: Listening<Data>,
): TCPSocketListener<Data> | null {
  if (parseAddress(host) === null) throw new StartError(`tcp: --host ${host} is not an IP address`);
  const options: ListenOptions<Data> = {
    hostname: host,
    port,
    ipv6Only: host === "::" && beside4,
    allowHalfOpen: true,
    socket: listening.handlers,
    data: listening.data,
  };
  try {
    return Bun.listen<Data>(options);
  } catch (error) {
    if (!noIPv6(host, error)) throw bindError("tcp", host, port, error);
    return beside4 ? null : listenOn("0.0.0.0", port, beside4, listening);
  }
}
