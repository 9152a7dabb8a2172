import type { Pointer } from "bun:ffi";
import type { EpollSet } from "../../sys/epoll.ts";
import {
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLIN,
  type Libc,
  loadLibc,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from "../../sys/libc.ts";
import { nativeMemory } from "../../sys/memory.ts";
import { SOCKADDR_BYTES, Sockaddr } from "../../sys/sockaddr.ts";
import { abortiveClose, BACKLOG } from "../../sys/socket.ts";
import type { BoundSocket } from "../bind.ts";
import { LISTENER, NONE } from "./kinds.ts";

/** Connections accepted per turn and listener: a burst of newcomers must not keep those that are here waiting. */
const ACCEPTS_PER_TURN = 64;

/** Where in the scratch memory the other end's address is written, this end's, and the length of either. */
const PEER = 0;
const LOCAL = 64;
const LENGTH = 128;

/** Who is told of newcomers. The addresses are used again for the next one. */
export interface Newcomers {
  admit(fd: number, peer: Sockaddr, local: Sockaddr): void;
  /** One was reset, for want of a descriptor. */
  turnedAway(): void;
}

/** The listeners of one loop: accepts from them, and goes on refusing where no descriptor is left. */
export class Acceptor {
  readonly #libc: Libc = loadLibc();
  readonly #listeners: readonly BoundSocket[];
  readonly #epoll: EpollSet;
  readonly #kind: Uint8Array;
  readonly #newcomers: Newcomers;
  readonly #scratch = nativeMemory(LENGTH + 4);
  readonly #peerAddress = (this.#scratch.address + PEER) as Pointer;
  readonly #localAddress = (this.#scratch.address + LOCAL) as Pointer;
  readonly #lengthAddress = (this.#scratch.address + LENGTH) as Pointer;
  readonly #peer = new Sockaddr();
  readonly #local = new Sockaddr();
  /** A descriptor kept to be given up when there is no other: a newcomer can then be accepted and refused. */
  #reserve = this.#libc.eventfd(0, 0);
  /** A listener is left alone until the next tick. */
  #exhausted = false;
  #stopped = false;

  constructor(listeners: readonly BoundSocket[], epoll: EpollSet, kind: Uint8Array, newcomers: Newcomers) {
    this.#listeners = listeners;
    this.#epoll = epoll;
    this.#kind = kind;
    this.#newcomers = newcomers;
    try {
      for (const { fd } of listeners) {
        kind[fd] = LISTENER;
        epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
      }
    } catch (fault) {
      this.close();
      throw fault;
    }
  }

  /** The listener has newcomers. */
  accept(fd: number): void {
    this.#acceptTurn(this.#listeners.find((socket) => socket.fd === fd)!);
  }

  /** Looks again at listeners that were left alone for want of descriptors; once per tick. */
  retry(): void {
    if (!this.#exhausted || this.#stopped) return;
    this.#exhausted = false;
    for (const { fd } of this.#listeners) this.#epoll.set(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  /** Takes those that the kernel has already let in, then no more. */
  stop(): void {
    this.#stopped = true;
    for (const listener of this.#listeners) {
      for (let left = BACKLOG; left > 0 && this.#acceptTurn(listener); left -= ACCEPTS_PER_TURN);
      this.#kind[listener.fd] = NONE;
      this.#epoll.remove(listener.fd);
    }
  }

  close(): void {
    if (this.#reserve !== -1) this.#libc.close(this.#reserve);
  }

  /** Accepts up to a bound. True if there may be more. */
  #acceptTurn(listener: BoundSocket): boolean {
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      const fd = this.#acceptOne(listener.fd);
      if (fd >= 0) {
        const peer = this.#peer.read(this.#scratch.view, PEER);
        this.#newcomers.admit(fd, peer, this.#localEnd(fd, listener));
        continue;
      }
      const errno = this.#libc.errno();
      if (errno === EAGAIN || errno === EINTR) return false;
      if (errno !== ECONNABORTED && !this.#refuseOne(listener.fd)) {
        // Not even the reserve helps. A listener with newcomers is always ready, so the loop would spin.
        this.#exhausted = true;
        this.#epoll.set(EPOLL_CTL_MOD, listener.fd, 0);
        return false;
      }
    }
    return true;
  }

  #acceptOne(fd: number): number {
    this.#scratch.words[LENGTH / 4] = SOCKADDR_BYTES;
    return this.#libc.accept4(fd, this.#peerAddress, this.#lengthAddress, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }

  /** Out of descriptors: gives up the reserve to accept one newcomer and reset it. False if even that fails. */
  #refuseOne(fd: number): boolean {
    if (this.#reserve === -1) this.#reserve = this.#libc.eventfd(0, 0);
    if (this.#reserve === -1) return false;
    this.#libc.close(this.#reserve);
    const accepted = this.#acceptOne(fd);
    if (accepted >= 0) {
      abortiveClose(accepted);
      this.#newcomers.turnedAway();
    }
    this.#reserve = this.#libc.eventfd(0, 0);
    return accepted >= 0;
  }

  /** This connection's own end: known from the listener, or asked for where that has every address. */
  #localEnd(fd: number, listener: BoundSocket): Sockaddr {
    const local = this.#local;
    if (listener.wildcard) {
      this.#scratch.words[LENGTH / 4] = SOCKADDR_BYTES;
      this.#libc.getsockname(fd, this.#localAddress, this.#lengthAddress);
      return local.read(this.#scratch.view, LOCAL);
    }
    ({ a0: local.a0, a1: local.a1, a2: local.a2, a3: local.a3 } = listener.address);
    local.port = listener.port;
    return local;
  }
}
