import { wildcardOf } from "../../net/address.ts";
import { type Endpoint, endpointOf, hostOf, ownEndTo } from "../../net/endpoint.ts";
import { udpDropsAt } from "../../sys/udp-drops.ts";
import type { Source } from "../dial.ts";
import { errorWord, Failure, meaningOf, meaningOnBind, meaningOnConnect } from "../failure.ts";
import type { OpenUdpSocket, UdpSocket, UdpSocketEvents } from "../udp-socket.ts";

/** How often a send is tried that fails with the news of earlier datagrams. */
const SEND_TRIES = 4;

/** Errors that a send may tell of datagrams sent before it. */
const OF_EARLIER = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"]);

/** Linux tells an error of a datagram by the socket's error queue as well, to Bun's `error` handler. */
const HAS_ERROR_QUEUE = process.platform === "linux";

type Socket = Bun.udp.Socket<"buffer"> | Bun.udp.ConnectedSocket<"buffer">;

/**
 * Opens a UDP socket of Bun's, wherever Bun runs. ICMP's answers come in the order in which they came, without saying
 * who sent them or which datagram they are for: on Linux to every socket, elsewhere to connected ones only.
 */
export const openUdpByBun: OpenUdpSocket = async (target, { source, connected, dontFragment }, events) => {
  if (dontFragment) return new Failure("fault", 0, "Bun's sockets cannot set don't-fragment");
  const own = new BunUdpSocket(events);
  const socket = await open(target, source, connected, own);
  if (socket instanceof Failure) return socket;
  own.adopt(socket, localEnd(socket, target));
  return own;
};

class BunUdpSocket implements UdpSocket {
  local!: Endpoint;
  #socket!: Socket;
  readonly #events: UdpSocketEvents;
  /** Told to the sender already; Linux tells them once more by the socket's error queue. */
  readonly #told = new Map<string, number>();

  constructor(events: UdpSocketEvents) {
    this.#events = events;
  }

  adopt(socket: Socket, local: Endpoint): void {
    this.#socket = socket;
    this.local = local;
  }

  send(datagram: Uint8Array, to: Endpoint): Failure | null {
    const news: string[] = [];
    for (;;) {
      const word = this.#try(datagram, to);
      if (OF_EARLIER.has(word) && news.length + 1 < SEND_TRIES) {
        news.push(word);
        continue;
      }
      if (word !== "") return this.#notSent(word);
      // Where there is an error queue, it tells these too.
      if (!HAS_ERROR_QUEUE) for (const earlier of news) this.failed(earlier);
      return null;
    }
  }

  /** Other sockets of that port count as well, on another address: two of this program have never the same. */
  dropped(): number | null {
    return udpDropsAt(this.local.port);
  }

  close(): void {
    this.#socket.close();
  }

  received(bytes: Uint8Array, host: string, port: number): void {
    const from = endpointOf(host, port);
    const unknown = { to: null, ttl: null, fragmentBytes: null };
    this.#events.datagram({ bytes, from, atMs: performance.now(), ...unknown });
  }

  /** An error of the socket. */
  failed(error: unknown): void {
    const word = errorWord(error);
    const told = this.#told.get(word) ?? 0;
    if (told > 0) this.#told.set(word, told - 1);
    else this.#events.error(new Failure(meaningOf(word), 0, word));
  }

  /** Sends; the system's word for why it did not leave, empty if it did. */
  #try(datagram: Uint8Array, to: Endpoint): string {
    try {
      const socket = this.#socket;
      const sent = isConnected(socket) ? socket.send(datagram) : socket.send(datagram, to.port, hostOf(to));
      return sent ? "" : "ENOBUFS";
    } catch (error) {
      return errorWord(error);
    }
  }

  #notSent(word: string): Failure {
    if (word === "EMSGSIZE" && HAS_ERROR_QUEUE) this.#told.set(word, (this.#told.get(word) ?? 0) + 1);
    return new Failure(meaningOnConnect(word), 0, word);
  }
}

async function open(
  target: Endpoint,
  { address, port = 0 }: Source,
  connected: boolean,
  own: BunUdpSocket,
): Promise<Socket | Failure> {
  const local = {
    hostname: hostOf(ownEndTo(target, address ?? wildcardOf(target.address), 0)),
    port,
  };
  const socket = {
    data(_socket: unknown, bytes: Buffer, from: number, host: string): void {
      own.received(bytes, host, from);
    },
    // Without this handler an ICMP error would end the process. Bun gives it the error alone, or after the socket.
    error(first: unknown, second?: unknown): void {
      own.failed(second ?? first);
    },
  };
  try {
    if (!connected) return await Bun.udpSocket({ ...local, socket });
    return await Bun.udpSocket({
      ...local,
      socket,
      connect: { hostname: hostOf(target), port: target.port },
    });
  } catch (error) {
    const word = errorWord(error);
    const bound = error instanceof Error && "syscall" in error && error.syscall === "connect";
    return new Failure(bound ? meaningOnConnect(word) : meaningOnBind(word, port), 0, word);
  }
}

function localEnd({ address }: Socket, target: Endpoint): Endpoint {
  const local = endpointOf(address.address, address.port);
  return local === null ? { ...target, port: address.port } : ownEndTo(target, local.address, local.port);
}

function isConnected(socket: Socket): socket is Bun.udp.ConnectedSocket<"buffer"> {
  return "remoteAddress" in socket && socket.remoteAddress !== undefined;
}
