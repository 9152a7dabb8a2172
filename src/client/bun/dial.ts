import { formatAddress, isIPv4, wildcardOf } from "../../net/address.ts";
import { type Endpoint, hostOf } from "../../net/endpoint.ts";
import type { ConnectionEvents, Dial, Source } from "../dial.ts";
import { errorWord, Failure, meaningOnConnect } from "../failure.ts";
import { wayTo } from "../udp-flow.ts";

/**
 * Connects by Bun's sockets, wherever Bun runs. Two things they cannot do. Bun says ECONNREFUSED for most failures: of
 * those that it says at once, before any packet, the true reason is found by a UDP socket; of the others, which come from
 * the network, it is known on loopback only, and else the code is `refused_or_unreachable`. And a connect that is under
 * way cannot be taken back: given up, it is reset when it succeeds, and keeps its descriptor until the system gives up.
 */
export const dialByBun: Dial = (target, source, events) => {
  let given = true;
  let atOnce = true;
  let failed = false;
  const fail = async (error: unknown): Promise<void> => {
    if (failed) return; // told twice: to the handler, and by the promise
    failed = true;
    const word = errorWord(error);
    const failure = atOnce ? await explain(target, source, word) : fromNetwork(target, word);
    if (given) events.failed(failure);
  };
  const connect = async (): Promise<void> => {
    await Bun.connect(optionsOf(target, source, events, () => given, fail));
  };
  connect().catch(fail);
  atOnce = false;
  return () => {
    given = false;
  };
};

/** What Bun.connect takes beside what its types say. */
interface LocalEnd {
  readonly localAddress?: string;
  readonly localPort?: number;
}

function optionsOf(
  target: Endpoint,
  { address, port }: Source,
  events: ConnectionEvents,
  given: () => boolean,
  fail: (error: unknown) => void,
): Bun.TCPSocketConnectOptions & LocalEnd {
  const { address: targetAddress } = target;
  let connected = false;
  return {
    hostname: hostOf(target),
    port: target.port,
    allowHalfOpen: true,
    // Bun binds to a port only where it is given an address as well.
    ...(address === undefined && port === undefined
      ? {}
      : { localAddress: formatAddress(address ?? wildcardOf(targetAddress)) }),
    ...(port === undefined ? {} : { localPort: port }),
    socket: {
      open(socket) {
        if (!given()) {
          socket.terminate();
          return;
        }
        connected = true;
        events.connected(socket);
      },
      data: (_socket, bytes) => events.data(bytes),
      drain: () => events.writable(),
      end: () => events.fin(),
      close(_socket, error) {
        if (connected) events.closed(error === undefined ? null : errorWord(error));
      },
      connectError: (_socket, error) => fail(error),
      error(_socket, error) {
        throw error; // thrown by a handler above: a bug, and not a fault of the network
      },
    },
  };
}

/** Why a connect failed before it sent anything. */
async function explain(target: Endpoint, source: Source, word: string): Promise<Failure> {
  const way = await wayTo(target, source);
  if (way instanceof Failure && way.code !== "port_in_use_here") return way;
  if (word === "EADDRINUSE") return new Failure("port_in_use_here", 0, word);
  return new Failure(word === "ECONNREFUSED" ? "refused_or_unreachable" : meaningOnConnect(word), 0, word);
}

/** Why a connect failed that was under way. */
function fromNetwork({ address }: Endpoint, word: string): Failure {
  const loopback = isIPv4(address) ? address.a3 >>> 24 === 127 : formatAddress(address) === "::1";
  const unsure = word === "ECONNREFUSED" && !loopback;
  return new Failure(unsure ? "refused_or_unreachable" : meaningOnConnect(word), 0, word);
}
