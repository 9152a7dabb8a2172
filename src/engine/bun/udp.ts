import type { udp } from "bun";
import { type Address, parseAddress } from "../../net/address.ts";
import type { UdpRules } from "../../rules/udp.ts";
import { ECHO, FIRST, PROBE, SUSPECT, type UdpVerdict } from "../../rules/udp-verdict.ts";
import { COUNTER } from "../../state/counters.ts";
import type { AddressCache } from "./address-cache.ts";
import { RELEASE_BYTES_MIN, release } from "./memory.ts";

/** Datagrams that may wait for one socket, and their bytes, while the kernel takes no more. */
const QUEUED_DATAGRAMS_MAX = 4096;
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;

/** Tries to send a datagram. The kernel may fail a send to report that another peer is dead; the next try then works. */
const SEND_TRIES = 4;

/** The part of Bun's socket that sends. `send` returns false where the kernel takes no more now; it throws its errors. */
export interface Sender {
  send(bytes: Uint8Array, port: number, address: string): boolean;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly address: string;
}

/**
 * UDP on one of Bun's sockets, bound to one address, so that answers leave from the address that was asked. A
 * datagram's life: `readable` asks the rules and sends it back at once, after the banner if it is a session's first;
 * what the kernel did not take waits, in order, for `writable`.
 */
export class UdpSocket {
  readonly handlers: udp.SocketHandler<"buffer">;
  readonly #rules: UdpRules;
  readonly #addresses: AddressCache;
  readonly #counters: Float64Array;
  readonly #local: number;
  readonly #server: Address;
  /** The port it was bound to. */
  serverPort = 0;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  /** @param local the number of the local address (`LocalNumbers`) */
  constructor(rules: UdpRules, addresses: AddressCache, host: string, local: number) {
    this.#rules = rules;
    this.#addresses = addresses;
    this.#counters = rules.counters;
    this.#local = local;
    this.#server = parseAddress(host)!;
    this.handlers = {
      data: this.readable,
      drain: (socket) => this.writable(socket),
      // A dead peer's ICMP bounce, most often: without a handler it would end the process. Its send was counted.
      error: () => {},
    };
  }

  /** The hot path: a datagram came. */
  readonly readable = (socket: Sender, bytes: Uint8Array, port: number, address: string): void => {
    const { a0, a1, a2, a3 } = this.#addresses.get(address);
    let verdict = this.#rules.admit(a0, a1, a2, a3, port, this.#local, bytes.length);
    if (verdict === SUSPECT) verdict = this.#rules.inspect(bytes, 0);
    if (verdict !== ECHO && !this.#begins(verdict, socket, bytes, port, address)) return;
    if (this.#waiting.length === 0) {
      try {
        if (socket.send(bytes, port, address)) {
          this.#counters[COUNTER.udpSentDatagrams]! += 1;
          this.#counters[COUNTER.udpSentBytes]! += bytes.length;
          if (bytes.length >= RELEASE_BYTES_MIN) release(bytes);
          return;
        }
        this.#wait(bytes, port, address);
      } catch {
        this.#retry(socket, bytes, port, address);
      }
    } else {
      this.#wait(bytes, port, address);
    }
  };

  /** A datagram whose verdict is not ECHO. True where it begins a session, and its echo is to follow. */
  #begins(verdict: UdpVerdict, socket: Sender, bytes: Uint8Array, port: number, address: string): boolean {
    if (verdict === FIRST) this.#greet(socket, bytes.length, port, address);
    else if (verdict === PROBE) this.#echoUncounted(socket, bytes, port, address);
    return verdict === FIRST;
  }

  /** The server's own probe: where the kernel takes no more, it asks again. */
  #echoUncounted(socket: Sender, bytes: Uint8Array, port: number, address: string): void {
    try {
      socket.send(bytes, port, address);
    } catch {
      // The kernel reports that an earlier send failed. The probe sends again.
    }
  }

  /** Sends the banner if one is due. */
  #greet(socket: Sender, length: number, port: number, address: string): void {
    const client = this.#addresses.get(address);
    const bannerLength = this.#rules.banners.grant(this.#server, this.serverPort, client, port, length);
    if (bannerLength === 0) return;
    const banner = this.#rules.banners.bytes.subarray(0, bannerLength);
    // The banner's bytes are written anew for the next session: one that waits is a copy.
    if (this.#waiting.length > 0) this.#wait(banner.slice(), port, address);
    else if (!this.#send(socket, banner, port, address)) this.#wait(banner.slice(), port, address);
  }

  /** Sends and counts a datagram. False when the kernel takes no more now. One that cannot go at all counts as dropped. */
  #send(socket: Sender, bytes: Uint8Array, port: number, address: string): boolean {
    for (let tries = 0; tries < SEND_TRIES; tries++) {
      try {
        if (!socket.send(bytes, port, address)) return false;
        this.#counters[COUNTER.udpSentDatagrams]! += 1;
        this.#counters[COUNTER.udpSentBytes]! += bytes.length;
        return true;
      } catch {
        // The kernel reports an earlier send's failure on the next one, to whomever that goes: try again.
      }
    }
    this.#rules.countDrop("send_failed");
    return true;
  }

  #retry(socket: Sender, bytes: Uint8Array, port: number, address: string): void {
    if (!this.#send(socket, bytes, port, address)) this.#wait(bytes, port, address);
  }

  /** Queues a datagram until the kernel takes more, or drops it where too much is queued. */
  #wait(bytes: Uint8Array, port: number, address: string): void {
    const full =
      this.#waiting.length >= QUEUED_DATAGRAMS_MAX || this.#waitingBytes + bytes.length > QUEUED_BYTES_MAX;
    if (full) {
      this.#rules.countDrop("queue_full");
      return;
    }
    this.#waiting.push({ bytes, port, address });
    this.#waitingBytes += bytes.length;
  }

  /** The kernel takes more. */
  writable(socket: Sender): void {
    const waiting = this.#waiting;
    let sent = 0;
    while (sent < waiting.length) {
      const { bytes, port, address } = waiting[sent]!;
      if (!this.#send(socket, bytes, port, address)) break;
      this.#waitingBytes -= bytes.length;
      sent++;
    }
    this.#waiting = waiting.slice(sent);
  }
}
