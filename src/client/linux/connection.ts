import type { Pointer } from "bun:ffi";
import { formatAddress, isIPv4 } from "../../net/address.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import {
  EAGAIN,
  ECONNRESET,
  EINTR,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  loadLibc,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  SHUT_WR,
} from "../../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../../sys/memory.ts";
import { MessageMemory } from "../../sys/message.ts";
import { abortiveClose, isConnected, setOption, takeError } from "../../sys/socket.ts";
import { tcpInfo } from "../../sys/tcp-info.ts";
import type { Connection, ConnectionEvents, TcpInfo } from "../dial.ts";
import { type Failure, type Icmp, meaningOnConnect } from "../failure.ts";
import { Arrivals } from "./arrival.ts";
import { ownEnd } from "./connect.ts";
import { failureOf, wordOf } from "./errno.ts";
import type { Reactor, Watcher } from "./reactor.ts";

/** What one call reads or writes at most. */
const PIECE_BYTES = 256 * 1024;

/** Calls that read one connection in a turn: others, and JavaScript's own events, have theirs in between. */
const READS_PER_TURN = 4;

let received: MessageMemory | null = null;
let sending: NativeMemory | null = null;

/** ICMP's word is kept, with who said it; while a connection is established, it would also end it (ip(7), IP_RECVERR). */
export function heedIcmp(fd: number, { address }: Endpoint, value: 0 | 1): void {
  if (isIPv4(address)) setOption(fd, IPPROTO_IP, IP_RECVERR, value);
  else setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, value);
}

/**
 * A TCP connection whose descriptor the reactor waits for, from its SYN on. What happens to it is told as Bun would: a
 * FIN not while it is paused, a reset at once, after the bytes that came before it.
 */
export class LinuxConnection implements Connection, Watcher {
  localAddress = "";
  localPort = 0;
  readonly #fd: number;
  readonly #target: Endpoint;
  readonly #reactor: Reactor;
  readonly #events: ConnectionEvents;
  readonly #arrivals = new Arrivals();
  readonly #startedAtMs = performance.now();
  #state: "connecting" | "connected" | "over" = "connecting";
  /** What the reactor waits for; null while it does not wait. */
  #waitsFor: number | null = EPOLLOUT;
  #paused = false;
  /** The kernel took less than it was given. */
  #full = false;
  #finSent = false;
  #finCame = false;
  /** What still comes is thrown away: only the end is waited for. */
  #ending = false;
  /** The word for a reset that a call took from the socket before what had come was read: the kernel tells it once. */
  #reset: string | null = null;
  #info: TcpInfo | null = null;

  constructor(fd: number, target: Endpoint, loop: Reactor, events: ConnectionEvents) {
    this.#fd = fd;
    this.#target = target;
    this.#reactor = loop;
    this.#events = events;
  }

  ready(events: number): void {
    if (this.#state === "connecting") this.#tryConnected();
    const broken = (events & EPOLLERR) !== 0 || this.#reset !== null;
    if (this.#state === "connected" && !this.#finCame && (broken || !this.#paused)) this.#read(broken);
    if (this.#state === "connected" && this.#full && (events & EPOLLOUT) !== 0) {
      this.#full = false;
      this.#events.writable();
    }
    const isDown = broken || (events & EPOLLHUP) !== 0;
    if (this.#state === "connected" && this.#finCame && isDown) this.#endBehindFin();
    // With both ends' FINs the kernel says EPOLLHUP again and again, until somebody reads on.
    this.#wait((events & EPOLLHUP) !== 0 && this.#paused);
  }

  lost(failure: Failure): void {
    if (this.#state === "connecting") this.#fail(failure);
    else this.#close(failure.detail);
  }

  end(): void {
    if (this.#state !== "connected") return;
    this.#ending = true;
    this.shutdown();
    this.resume();
  }

  info(): TcpInfo | null {
    if (this.#state !== "over") this.#info = tcpInfo(this.#fd) ?? this.#info;
    return this.#info;
  }

  write(bytes: Uint8Array): number {
    if (this.#state !== "connected" || this.#finSent) return -1;
    sending ??= nativeMemory(PIECE_BYTES);
    const libc = loadLibc();
    for (let taken = 0; ; ) {
      const piece = bytes.subarray(taken, taken + PIECE_BYTES);
      if (piece.length === 0) return taken;
      sending.bytes.set(piece);
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      const sent = libc.send(this.#fd, sending.address as Pointer, piece.length, flags);
      const errno = sent < 0 ? libc.errno() : 0;
      if (errno !== 0 && errno !== EAGAIN) {
        this.#reset ??= wordOf(errno);
        return taken > 0 || this.#wasClosedFirst ? taken : -1;
      }
      taken += Math.max(0, sent);
      if (sent === piece.length) continue;
      this.#full = true;
      this.#wait();
      return taken;
    }
  }

  shutdown(): void {
    if (this.#state !== "connected" || this.#finSent) return;
    this.#finSent = true;
    loadLibc().shutdown(this.#fd, SHUT_WR);
    if (this.#finCame) this.#close(null);
  }

  terminate(): void {
    if (this.#state === "over") return;
    const wasConnected = this.#state === "connected";
    this.#leave();
    abortiveClose(this.#fd);
    if (wasConnected) queueMicrotask(() => this.#events.closed(null));
  }

  pause(): void {
    this.#paused = true;
    this.#wait();
  }

  resume(): void {
    this.#paused = false;
    this.#wait();
  }

  /** Nobody wants it any more; if it is connected, that was told. */
  giveUp(): void {
    if (this.#state === "connecting") this.terminate();
  }

  #tryConnected(): void {
    const error = takeError(this.#fd);
    if (error === ECONNRESET || error === EPIPE) {
      this.#reset = wordOf(error); // of an established connection: a SYN that is answered by a reset is refused
      this.#connected();
      return;
    }
    // ICMP that comes while connect(2) still has the socket lies in the queue alone: without it, the next SYN's would end it.
    const news = this.#news();
    const errno = error === 0 ? (news?.errno ?? 0) : error;
    if (errno !== 0) this.#fail(failureOf(errno, meaningOnConnect, news?.icmp ?? null));
    else if (isConnected(this.#fd)) this.#connected();
  }

  #fail(failure: Failure): void {
    this.#leave();
    loadLibc().close(this.#fd);
    this.#events.failed(failure);
  }

  #connected(): void {
    this.#state = "connected";
    heedIcmp(this.#fd, this.#target, 0);
    const { address, port } = ownEnd(this.#fd, this.#target);
    this.localAddress = formatAddress(address);
    this.localPort = port;
    this.#events.connected(this, { fromMs: this.#startedAtMs, toMs: this.#handshakeEndMs() });
  }

  /** The kernel measured the SYN's round trip, unless it was sent again; by then a look at the clock is close enough. */
  #handshakeEndMs(): number {
    const info = this.info();
    const nowMs = performance.now();
    const measured = info !== null && info.retransmits === 0 && info.roundTripMs > 0;
    return measured ? Math.min(nowMs, this.#startedAtMs + info.roundTripMs) : nowMs;
  }

  /** What ICMP said of the SYN, where it was ICMP. */
  #news(): { readonly errno: number; readonly icmp: Icmp } | null {
    received ??= new MessageMemory(PIECE_BYTES);
    while (received.receive(this.#fd, MSG_ERRQUEUE) >= 0) {
      const { error } = received.said();
      if (error === null || error.offender === null) continue;
      return { errno: error.errno, icmp: { by: error.offender, to: this.#target, mtu: null } };
    }
    return null;
  }

  /** Reads what there is, up to a bound. @param broken to the end: there is no other turn */
  #read(broken: boolean): void {
    received ??= new MessageMemory(PIECE_BYTES);
    this.#arrivals.begin();
    for (let reads = 0; broken || (reads < READS_PER_TURN && !this.#paused); reads++) {
      if (this.#state !== "connected" || !this.#readOne(received)) return;
    }
  }

  /** Tells the next bytes, or the end; false where there is no more. */
  #readOne(memory: MessageMemory): boolean {
    const length = memory.receive(this.#fd);
    if (length > 0) {
      if (!this.#ending) this.#events.data(memory.bytes(), this.#arrivals.timeOf(memory.said().stamp));
      return true;
    }
    const errno = length < 0 ? loadLibc().errno() : 0;
    if (errno === EINTR) return true;
    if (errno === EAGAIN) this.#arrivals.emptied();
    else if (errno !== 0) this.#close(wordOf(errno));
    else if (this.#reset !== null && !this.#wasClosedFirst) this.#close(this.#reset);
    else this.#fin();
    return false;
  }

  /** A reset that the kernel calls a broken pipe came behind a FIN, which may not be read yet and is told first. */
  get #wasClosedFirst(): boolean {
    return this.#reset === wordOf(EPIPE);
  }

  #fin(): void {
    this.#finCame = true;
    if (!this.#ending) this.#events.fin();
    if (this.#finSent) this.#close(null);
  }

  /** A reset came behind a FIN that was read: nothing follows, and the kernel would say so again and again. */
  #endBehindFin(): void {
    const error = takeError(this.#fd);
    if (this.#reset !== null || error !== 0) this.#close(this.#reset ?? wordOf(error));
  }

  #close(error: string | null): void {
    if (this.#state === "over") return;
    this.info();
    this.#leave();
    loadLibc().close(this.#fd);
    queueMicrotask(() => this.#events.closed(error));
  }

  #leave(): void {
    this.#state = "over";
    this.#reactor.remove(this.#fd);
    this.#waitsFor = null;
  }

  /** Has the reactor wait for what is of interest now. @param mute for nothing, until reading goes on */
  #wait(mute = false): void {
    if (this.#state !== "connected") return;
    const events = (this.#paused || this.#finCame ? 0 : EPOLLIN) | (this.#full ? EPOLLOUT : 0);
    if (mute) {
      this.#reactor.mute(this.#fd);
      this.#waitsFor = null;
    } else if (this.#waitsFor === null) {
      if (this.#reactor.add(this.#fd, events, this)) this.#waitsFor = events;
      else this.#close("ENOSPC");
    } else if (events !== this.#waitsFor) {
      this.#reactor.change(this.#fd, events);
      this.#waitsFor = events;
    }
  }
}
