import { isIPv4 } from "../net/address.ts";
import { type Endpoint, sameAddressAndPort } from "../net/endpoint.ts";
import { openUdpByBun } from "./bun/udp.ts";
import type { Source } from "./dial.ts";
import { Failure } from "./failure.ts";
import { type Datagram, UdpInbox } from "./udp-inbox.ts";
import type { OpenUdpSocket, UdpSocket } from "./udp-socket.ts";
import { Patience } from "./wake.ts";

export interface UdpOptions {
  /**
   * Default false: the flow then gets what anybody sends to its port, so that an answer from a wrong address is seen.
   * A connected flow hears the target only, and its `local` has an address.
   */
  readonly connected?: boolean;
  /**
   * Default false: what is sent leaves as a plain program's datagrams do. With it, nothing is ever cut on its way, and
   * what does not pass comes back as `too_big`, or not at all. Fails with `fault` where sockets cannot do that.
   */
  readonly dontFragment?: boolean;
  /** This end; default: the system's choice. */
  readonly source?: Source;
  /** Ends the flow; what is waited for is then `aborted`. */
  readonly signal?: AbortSignal;
  /** How sockets are made. Default: by Bun. */
  readonly open?: OpenUdpSocket;
}

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
 * order in which they came. Who sent them, and which datagram they are for, is said where the way in which sockets are
 * made can tell (`udp-socket.ts`).
 */
export class UdpFlow implements AsyncDisposable {
  readonly target: Endpoint;
  /** This end; its address is the wildcard where the flow is not connected and no address was asked for. */
  readonly local: Endpoint;
  readonly #socket: UdpSocket;
  readonly #inbox: UdpInbox;
  #ending: "ended" | "aborted" | null = null;
  #forgetSignal = (): void => {};

  private constructor(target: Endpoint, socket: UdpSocket, inbox: UdpInbox) {
    this.target = target;
    this.local = socket.local;
    this.#socket = socket;
    this.#inbox = inbox;
  }

  /** Opens the socket; nothing is sent. The flow, or why there is none. */
  static async open(target: Endpoint, options: UdpOptions = {}): Promise<UdpFlow | Failure> {
    const { source = {}, connected = false, dontFragment = false, signal } = options;
    if (signal?.aborted) return new Failure("aborted");
    const { address } = source;
    if (address !== undefined && isIPv4(address) !== isIPv4(target.address))
      return new Failure("no_such_address");
    const inbox = new UdpInbox();
    const socket = await (options.open ?? openUdpByBun)(
      target,
      { source, connected, dontFragment },
      { datagram: (datagram) => inbox.put(datagram), error: (failure) => inbox.put(failure) },
    );
    if (socket instanceof Failure) return socket;
    const flow = new UdpFlow(target, socket, inbox);
    source.bound?.(flow.local.port);
    flow.#heed(signal);
    return flow;
  }

  /** Datagrams and errors thrown away here because nobody received them in time: no loss of the network. */
  get dropped(): number {
    return this.#inbox.dropped;
  }

  /** Datagrams that came and the kernel threw away, as `UdpSocket.dropped` has them; null where it does not say. */
  get droppedByKernel(): number | null {
    return this.#socket.dropped?.() ?? null;
  }

  /**
   * Sends one datagram of 0 to 65,507 bytes. Null, or why it did not leave: `no_buffers_here` may pass, try again later.
   * @param to someone else than the target; only where the flow is not connected
   */
  send(datagram: Uint8Array, to: Endpoint = this.target): Failure | null {
    return this.#ending === null ? this.#socket.send(datagram, to) : new Failure(this.#ending);
  }

  /** The next datagram or error, which may have come before; `timeout` when there is none within `timeoutMs`. */
  receive(timeoutMs: number): Promise<Datagram | Failure> {
    return this.#inbox.next(new Patience(timeoutMs));
  }

  /** Whether a datagram came from the end that was asked. */
  isFromTarget({ from }: Datagram): boolean {
    return from !== null && sameAddressAndPort(from, this.target);
  }

  /** Closes the socket. What came until now can still be received, then `ended`. */
  end(): void {
    this.#end("ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
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
 * @param open how the socket is made; default: by Bun
 */
export async function wayTo(
  target: Endpoint,
  { address }: Source = {},
  open: OpenUdpSocket = openUdpByBun,
): Promise<Endpoint | Failure> {
  const source = address === undefined ? {} : { address };
  const flow = await UdpFlow.open(target, { connected: true, source, open });
  if (flow instanceof Failure) return flow;
  flow.end();
  return flow.local;
}
