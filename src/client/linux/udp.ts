import type { Pointer } from "bun:ffi";
import { isIPv4 } from "../../net/address.ts";
import { type Endpoint, isLinkLocal } from "../../net/endpoint.ts";
import {
  EAGAIN,
  EINTR,
  EMSGSIZE,
  EPOLLIN,
  IPPROTO_UDP,
  loadLibc,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  ORIGIN_LOCAL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from "../../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../../sys/memory.ts";
import { MessageMemory, type Said } from "../../sys/message.ts";
import { writeSockaddr } from "../../sys/sockaddr.ts";
import { droppedAt } from "../../sys/socket.ts";
import { Failure, type FailureCode, meaningOf, meaningOnConnect } from "../failure.ts";
import type { OpenUdpSocket, UdpSocket, UdpSocketEvents, UdpSocketOptions } from "../udp-socket.ts";
import { Arrivals } from "./arrival.ts";
import { bindSocket, connectSocket, familyOf, noSuchZone, ownEnd, scopeOf } from "./connect.ts";
import { failureOf, wordOf } from "./errno.ts";
import { noRoomToWait, type Reactor, reactor, type Watcher } from "./reactor.ts";
import { setUdpOptions, type Tells } from "./udp-options.ts";

/** Room for the largest datagram there can be. */
const DATAGRAM_BYTES = 65_536;

/** The most payload: an IP packet has 65,535 bytes, of which IPv6 does not count its header (RFC 791, 768, 8200). */
const IPV4_PAYLOAD_MAX = 65_507;
const IPV6_PAYLOAD_MAX = 65_527;

/** What is read of one socket in a turn: others, and JavaScript's own events, have theirs in between. */
const READS_PER_TURN = 64;

/** How often a send or a read is tried that fails with the news of earlier datagrams. */
const TRIES = 4;

/** What this thread sends from: `DATAGRAM_BYTES` for the datagram, then a sockaddr. */
let sending: NativeMemory | null = null;
let received: MessageMemory | null = null;

/**
 * Opens a UDP socket by system calls; the reactor of this thread reads it. It tells all that a `Datagram` and an `Icmp`
 * have room for.
 */
export const openUdpByCalls: OpenUdpSocket = async (target, options, events) => {
  const loop = noSuchZone(target) ?? reactor();
  if (loop instanceof Failure) return loop;
  const libc = loadLibc();
  const fd = libc.socket(familyOf(target), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return failureOf(libc.errno(), meaningOnConnect);
  const tells = prepare(fd, target, options);
  if (!(tells instanceof Failure)) {
    const socket = new LinuxUdpSocket(fd, target, options.connected, tells, loop, events);
    if (loop.add(fd, EPOLLIN, socket)) return socket;
  }
  libc.close(fd);
  return tells instanceof Failure ? tells : noRoomToWait();
};

function prepare(fd: number, target: Endpoint, options: UdpSocketOptions): Tells | Failure {
  const { source, connected } = options;
  const tells = setUdpOptions(fd, target, options);
  if (tells instanceof Failure) return tells;
  return bindSocket(fd, source, target) ?? (connected ? connectSocket(fd, target) : null) ?? tells;
}

class LinuxUdpSocket implements UdpSocket, Watcher {
  readonly local: Endpoint;
  readonly #fd: number;
  readonly #target: Endpoint;
  readonly #connected: boolean;
  readonly #tellsFragments: boolean;
  readonly #scope: number;
  readonly #reactor: Reactor;
  readonly #events: UdpSocketEvents;
  readonly #arrivals = new Arrivals();
  #isOpen = true;
  #dropped = 0;

  constructor(
    fd: number,
    target: Endpoint,
    connected: boolean,
    { fragments }: Tells,
    loop: Reactor,
    events: UdpSocketEvents,
  ) {
    this.#fd = fd;
    this.#target = target;
    this.#connected = connected;
    this.#tellsFragments = fragments;
    this.#scope = scopeOf(target);
    this.#reactor = loop;
    this.#events = events;
    this.local = ownEnd(fd, target);
  }

  send(datagram: Uint8Array, to: Endpoint): Failure | null {
    const most = isIPv4(this.#target.address) ? IPV4_PAYLOAD_MAX : IPV6_PAYLOAD_MAX;
    if (datagram.length > most) return failureOf(EMSGSIZE, meaningOnConnect);
    sending ??= nativeMemory(DATAGRAM_BYTES + 32);
    sending.bytes.set(datagram);
    const nameLength = this.#connected ? 0 : this.#writeName(sending, to);
    const libc = loadLibc();
    for (let tries = 1; ; tries++) {
      const name = nameLength === 0 ? null : ((sending.address + DATAGRAM_BYTES) as Pointer);
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      const address = sending.address as Pointer;
      if (libc.sendto(this.#fd, address, datagram.length, flags, name, nameLength) >= 0) return null;
      const errno = libc.errno();
      if (errno === EAGAIN) return new Failure("no_buffers_here", 0, wordOf(errno));
      // It may be the news of an earlier datagram, which the error queue tells as well; one's own error comes again.
      if (tries >= TRIES) return failureOf(errno, meaningOnConnect);
    }
  }

  dropped(): number {
    if (this.#isOpen) this.#dropped = droppedAt(this.#fd);
    return this.#dropped;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.dropped();
    this.#isOpen = false;
    this.#reactor.remove(this.#fd);
    loadLibc().close(this.#fd);
  }

  lost(failure: Failure): void {
    this.close();
    this.#events.error(failure);
  }

  ready(): void {
    received ??= new MessageMemory(DATAGRAM_BYTES);
    this.#arrivals.begin();
    this.#readErrors(received);
    for (let reads = 0; reads < READS_PER_TURN && this.#isOpen; reads++) {
      if (!this.#readOne(received)) return;
    }
  }

  /** Tells the next datagram; false where there is none. */
  #readOne(memory: MessageMemory): boolean {
    if (memory.receive(this.#fd) >= 0) {
      this.#tell(memory);
      return true;
    }
    const errno = loadLibc().errno();
    if (errno === EINTR) return true;
    if (errno === EAGAIN) {
      this.#arrivals.emptied();
      return false;
    }
    // The news of a datagram sent before. It lies in the error queue, unless there was no room for it.
    if (this.#readErrors(memory) === 0) this.#events.error(failureOf(errno, meaningOf));
    return true;
  }

  #tell(memory: MessageMemory): void {
    const { stamp, to, ttl, fragmentBytes } = memory.said();
    this.#events.datagram({
      bytes: memory.bytes(),
      from: this.#endpointOf(memory),
      atMs: this.#arrivals.timeOf(stamp),
      to,
      ttl,
      fragmentBytes: this.#tellsFragments ? (fragmentBytes ?? 0) : null,
    });
  }

  /** Tells what lies in the error queue; how many errors. */
  #readErrors(memory: MessageMemory): number {
    let count = 0;
    while (count < READS_PER_TURN && this.#isOpen && memory.receive(this.#fd, MSG_ERRQUEUE) >= 0) {
      count++;
      const failure = this.#failureIn(memory, memory.said());
      if (failure !== null) this.#events.error(failure);
    }
    return count;
  }

  /** What an entry of the error queue says; null where the sender was told. */
  #failureIn(memory: MessageMemory, { error }: Said): Failure | null {
    if (error === null || (error.origin === ORIGIN_LOCAL && error.errno === EMSGSIZE)) return null;
    const { errno, offender, info } = error;
    if (offender === null) return failureOf(errno, meaningOf);
    const mtu = errno === EMSGSIZE ? info : null;
    return failureOf(errno, meaningOfIcmp, { by: offender, to: this.#endpointOf(memory), mtu });
  }

  /** Whom a message is from, or where it was going; its zone as the target's is written, where it is the same. */
  #endpointOf(memory: MessageMemory): Endpoint | null {
    const peer = memory.peer();
    if (peer === null) return null;
    const { a0, a1, a2, a3, port } = peer;
    const address = { a0, a1, a2, a3 };
    const scope = isIPv4(address) || !isLinkLocal(address) ? 0 : memory.peerScope();
    if (scope === 0) return { address, port };
    const { zone } = this.#target;
    return { address, port, zone: zone !== undefined && scope === this.#scope ? zone : String(scope) };
  }

  /** Writes whom to send to; its length. */
  #writeName({ view }: NativeMemory, to: Endpoint): number {
    const scope = to === this.#target ? this.#scope : scopeOf(to);
    return writeSockaddr(view, DATAGRAM_BYTES, familyOf(this.#target), to.address, to.port, scope);
  }
}

/** ICMP knows more ways to say that there is no way than `meaningOf` does: prohibited (EACCES), no such protocol. */
function meaningOfIcmp(error: string): FailureCode {
  return error === "ECONNREFUSED" || error === "EMSGSIZE" ? meaningOf(error) : "unreachable";
}
