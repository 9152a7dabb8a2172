import { formatAddress, isIPv4, sameAddress } from "../net/address.ts";
import { type Endpoint, endpointOf, hostOf, isLinkLocal } from "../net/endpoint.ts";
import type { Source } from "./dial.ts";
import { errorWord, Failure, meaningOnBind, meaningOnConnect } from "./failure.ts";
import { type Datagram, UdpInbox } from "./udp-inbox.ts";
import { Patience } from "./wake.ts";

export interface UdpOptions {
  /**
   * Default false: the flow then gets what anybody sends to its port, so that an answer from a wrong address is seen.
   * A connected flow hears the target only, and its `local` has an address.
   */
  readonly connected?: boolean;
  /** This end; default: the system's choice. */
  readonly source?: Source;
  /** Ends the flow; what is waited for is then `aborted`. */
  readonly signal?: AbortSignal;
}

/** How often a send is tried that fails with the news of earlier datagrams. */
const SEND_TRIES = 4;

/** Errors that a send may tell of datagrams sent before it. */
const OF_EARLIER = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"]);

/** Linux tells an error of a datagram by the socket's error queue as well, to Bun's `error` handler. */
const HAS_ERROR_QUEUE = process.platform === "linux";

type Socket = Bun.udp.Socket<"buffer"> | Bun.udp.ConnectedSocket<"buffer">;

/**
 * One UDP flow: a socket, and so a source port, of its own.
 *
 *     const flow = await UdpFlow.open(target);
 *     if (flow instanceof Failure) return flow.code;
 *     await using _ = flow;
 *     flow.send(makePayload(key, tracker.send(performance.now()), 64));
 *     const answer = await flow.receive(2000);
 *
 * What the network does is a `Failure` that is returned, never thrown: ICMP's answers come out of `receive`, in the
 * order in which they came. Linux tells them to unconnected flows too, without saying which datagram they are for;
 * other systems to connected ones only.
 */
export class UdpFlow implements AsyncDisposable {
  readonly target: Endpoint;
  /** This end; its address is the wildcard where the flow is not connected and no address was asked for. */
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #inbox: UdpInbox;
  #ending: "ended" | "aborted" | null = null;
  #forgetSignal = (): void => {};

  private constructor(target: Endpoint, local: Endpoint, socket: Socket, inbox: UdpInbox) {
    this.target = target;
    this.local = local;
    this.#socket = socket;
    this.#inbox = inbox;
  }

  /** Opens the socket; nothing is sent. The flow, or why there is none. */
  static async open(target: Endpoint, options: UdpOptions = {}): Promise<UdpFlow | Failure> {
    const { source = {}, connected = false, signal } = options;
    if (signal?.aborted) return new Failure("aborted");
    const { address } = source;
    if (address !== undefined && isIPv4(address) !== isIPv4(target.address))
      return new Failure("no_such_address");
    const inbox = new UdpInbox();
    const socket = await openSocket(target, source, connected, inbox);
    if (socket instanceof Failure) return socket;
    const flow = new UdpFlow(target, localEnd(socket, target), socket, inbox);
    source.bound?.(flow.local.port);
    flow.#heed(signal);
    return flow;
  }

  /** Datagrams and errors thrown away here because nobody received them in time: no loss of the network. */
  get dropped(): number {
    return this.#inbox.dropped;
  }

  /**
   * Sends one datagram of 0 to 65,507 bytes. Null, or why it did not leave: `no_buffers_here` may pass, try again later.
   * @param to someone else than the target; only where the flow is not connected
   */
  send(datagram: Uint8Array, to: Endpoint = this.target): Failure | null {
    if (this.#ending !== null) return new Failure(this.#ending);
    const news: string[] = [];
    for (;;) {
      const word = this.#try(datagram, to);
      if (OF_EARLIER.has(word) && news.length + 1 < SEND_TRIES) {
        news.push(word);
        continue;
      }
      if (word !== "") return this.#notSent(word);
      // Where there is an error queue, it tells these too.
      if (!HAS_ERROR_QUEUE) for (const earlier of news) this.#inbox.takeError(earlier);
      return null;
    }
  }

  /** The next datagram or error, which may have come before; `timeout` when there is none within `timeoutMs`. */
  receive(timeoutMs: number): Promise<Datagram | Failure> {
    return this.#inbox.next(new Patience(timeoutMs));
  }

  /** Whether a datagram came from the end that was asked. */
  isFromTarget({ from }: Datagram): boolean {
    const { address, port } = this.target;
    return from !== null && from.port === port && sameAddress(from.address, address);
  }

  /** Closes the socket. What came until now can still be received, then `ended`. */
  end(): void {
    this.#end("ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
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
    if (word === "EMSGSIZE" && HAS_ERROR_QUEUE) this.#inbox.expectAgain(word);
    return new Failure(meaningOnConnect(word), 0, word);
  }

  #heed(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = (): void => this.#end("aborted");
    signal.addEventListener("abort", abort);
    this.#forgetSignal = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) abort();
  }

  #end(why: "ended" | "aborted"): void {
    if (this.#ending !== null) return;
    this.#ending = why;
    this.#forgetSignal();
    this.#socket.close();
    this.#inbox.end(new Failure(why));
  }
}

/**
 * This end of the way to `target`, as the system would choose it, or why there is no way. Asked of a connected UDP
 * socket, which sends nothing.
 */
export async function wayTo(target: Endpoint, { address }: Source = {}): Promise<Endpoint | Failure> {
  const source = address === undefined ? {} : { address };
  const flow = await UdpFlow.open(target, { connected: true, source });
  if (flow instanceof Failure) return flow;
  flow.end();
  return flow.local;
}

async function openSocket(
  target: Endpoint,
  { address, port = 0 }: Source,
  connected: boolean,
  inbox: UdpInbox,
): Promise<Socket | Failure> {
  const wildcard = isIPv4(target.address) ? "0.0.0.0" : "::";
  const local = {
    hostname: address === undefined ? wildcard : hostIn(target, address),
    port,
  };
  const socket = {
    data(_socket: unknown, bytes: Buffer, from: number, host: string): void {
      inbox.takeDatagram(bytes, host, from);
    },
    // Without this handler an ICMP error would end the process. Bun gives it the error alone, or after the socket.
    error(first: unknown, second?: unknown): void {
      inbox.takeError(second ?? first);
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

/** A source address with the target's zone where it needs one. */
function hostIn({ zone }: Endpoint, address: Endpoint["address"]): string {
  if (zone === undefined || !isLinkLocal(address)) return formatAddress(address);
  return hostOf({ address, port: 0, zone });
}

function localEnd({ address }: Socket, target: Endpoint): Endpoint {
  const local = endpointOf(address.address, address.port);
  const { zone } = target;
  if (local === null) return { ...target, port: address.port };
  return zone !== undefined && local.zone === undefined && isLinkLocal(local.address)
    ? { ...local, zone }
    : local;
}

function isConnected(socket: Socket): socket is Bun.udp.ConnectedSocket<"buffer"> {
  return "remoteAddress" in socket && socket.remoteAddress !== undefined;
}
