import { Failure } from "../../../client/failure.ts";
import type { Datagram } from "../../../client/udp-inbox.ts";
import type { OpenUdpSocket, UdpSocket, UdpSocketOptions } from "../../../client/udp-socket.ts";
import { readBanner } from "../../../net/banner.ts";
import { type Endpoint, sameAddressAndPort } from "../../../net/endpoint.ts";
import type { Told } from "./look.ts";

/** What came of one datagram from a port of its own. */
export class Attempt implements Disposable {
  /** Its echo, all of it. */
  echo: Datagram | null = null;
  /** Its echo, without its end. */
  shortened = false;
  banner = false;
  told: Told | null = null;
  sentAtMs = 0;
  readonly #target: Endpoint;
  readonly #payload: Uint8Array;
  readonly #changed: () => void;
  #socket: UdpSocket | null = null;

  /** @param changed told of each answer, and of ICMP's */
  constructor(target: Endpoint, payload: Uint8Array, changed: () => void) {
    this.#target = target;
    this.#payload = payload;
    this.#changed = changed;
  }

  /** Opens the socket and sends. Null, or why the datagram did not leave. */
  async send(open: OpenUdpSocket, options: UdpSocketOptions): Promise<Failure | null> {
    const socket = await open(this.#target, options, {
      datagram: (datagram) => this.#take(datagram),
      error: (failure) => this.#heed(failure),
    });
    if (socket instanceof Failure) return socket;
    this.#socket = socket;
    this.sentAtMs = performance.now();
    return socket.send(this.#payload, this.#target);
  }

  /** This end; null where there is no socket. */
  get local(): Endpoint | null {
    return this.#socket?.local ?? null;
  }

  /** Whether the answer is there: nothing that comes later can change it. */
  get isAnswered(): boolean {
    return this.echo !== null || this.shortened;
  }

  #take(datagram: Datagram): void {
    const { bytes, from } = datagram;
    if (from === null || !sameAddressAndPort(from, this.#target)) return;
    const payload = this.#payload;
    if (Buffer.compare(bytes, payload) === 0) this.echo = datagram;
    else if (isBeginning(bytes, payload)) this.shortened = true;
    else if (readBanner(bytes) !== null) this.banner = true;
    this.#changed();
  }

  /** Of ICMP's news only "too big" tells something of a size. */
  #heed({ icmp }: Failure): void {
    if (icmp === null || icmp.mtu === null || icmp.mtu <= 0) return;
    this.told = { mtu: icmp.mtu, by: icmp.by };
    this.#changed();
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
    this.#socket = null;
  }
}

/** Whether bytes are a payload's first ones, though not all. */
function isBeginning(bytes: Uint8Array, payload: Uint8Array): boolean {
  const { length } = bytes;
  return length > 0 && length < payload.length && Buffer.compare(bytes, payload.subarray(0, length)) === 0;
}
