import type { Pointer } from "bun:ffi";
import { formatEndpoint } from "../../rules/address.ts";
import { Banner, bannerBytesMax } from "../../rules/banner.ts";
import type { Clock } from "../../rules/clock.ts";
import { C, type TcpClose } from "../../rules/counters.ts";
import { AWAITING_HEADER, OPEN, REFUSED, type TcpDeadlines, TcpRules } from "../../rules/tcp.ts";
import {
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
  type Libc,
  loadLibc,
  MSG_NOSIGNAL,
  type NativeMemory,
  nativeMemory,
  SHUT_WR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../../sys/libc.ts";
import type { LoopStart, SessionEnd } from "../loop.ts";
import type { Interest } from "./interest.ts";
import { BACKLOG, type BoundSocket, SOCKADDR_BYTES, Sockaddr } from "./sockets.ts";

/** What a descriptor of the loop is: an index into nothing but this tells the loop what an event means. */
export const NONE = 0;
/** A session with nothing queued: what comes is sent back at once. */
export const ECHOING = 1;
/** A session whose reader is slow: nothing is read until what is queued is sent. */
export const BLOCKED = 2;
/** A session that waits for its PROXY header. */
export const HEADER = 3;
/** A session that was cut: its FIN is sent, what still comes is thrown away. */
export const LINGERING = 4;
export const LISTENER = 5;

/** Connections accepted per turn and listener: a burst of newcomers must not keep those that are here waiting. */
const ACCEPTS_PER_TURN = 64;

/** The most that is read at once: what a slow reader can leave unsent, and so what it can cost. */
const WINDOW_BYTES = 64 * 1024;

/** With this much queued in all, sessions are read in small pieces: many slow readers then cost 8 KiB each, not 64. */
const QUEUED_BYTES_PRESSURE = 32 * 1024 * 1024;
const WINDOW_BYTES_UNDER_PRESSURE = 8 * 1024;

/** Read at once with the banner: what a client that speaks first fits in its first segment. */
const EARLY_BYTES = 2048;

/** What is owed to a slow reader: kept out of the kernel only while the kernel takes no more. */
interface Queue {
  bytes: Uint8Array;
  sent: number;
}

/**
 * TCP on one epoll loop. A connection's life: `accept` asks the rules and sends the banner; `readable` receives into
 * the one buffer that all share and sends from it at once; what the kernel did not take is copied, and until it is
 * sent (`writable`) nothing more is read: that is the back-pressure. A FIN is read only when nothing is queued, so
 * closing then loses nothing. Tables are indexed by descriptor; nothing is allocated per message.
 */
export class LinuxTcp implements TcpDeadlines {
  readonly rules: TcpRules;
  readonly #libc: Libc = loadLibc();
  readonly #start: LoopStart;
  readonly #clock: Clock;
  readonly #interest: Interest;
  readonly #kind: Uint8Array;
  readonly #slots: number;
  readonly #queues = new Map<number, Queue>();
  readonly #servers = new Map<number, string>();
  readonly #onSessionEnd: ((end: SessionEnd) => void) | null;
  readonly #listeners: readonly BoundSocket[];

  readonly #buffer = nativeMemory(WINDOW_BYTES);
  readonly #bufferAddress = this.#buffer.address as Pointer;
  readonly #banner: NativeMemory;
  readonly #bannerAddress: Pointer;
  /** Two sockaddrs and their lengths, then a struct linger that says: reset. */
  readonly #scratch = nativeMemory(256);
  readonly #peerAddress = this.#scratch.address as Pointer;
  readonly #localAddress = (this.#scratch.address + 64) as Pointer;
  readonly #lengthAddress = (this.#scratch.address + 128) as Pointer;
  readonly #lingerAddress = (this.#scratch.address + 136) as Pointer;
  readonly #peer = new Sockaddr();
  readonly #local = new Sockaddr();
  /** A descriptor kept to be given up when there is no other: a newcomer can then be accepted and refused. */
  #reserve = -1;
  #windowBytes: number;
  #exhausted = false;
  #draining = false;
  #cutting = false;

  constructor(
    start: LoopStart,
    clock: Clock,
    interest: Interest,
    kind: Uint8Array,
    listeners: readonly BoundSocket[],
    onSessionEnd: ((end: SessionEnd) => void) | null,
  ) {
    this.#start = start;
    this.#clock = clock;
    this.#interest = interest;
    this.#kind = kind;
    this.#slots = kind.length;
    this.#listeners = listeners;
    this.#onSessionEnd = onSessionEnd;
    this.#banner = nativeMemory(bannerBytesMax(start.settings.bannerFields) + EARLY_BYTES);
    this.#bannerAddress = this.#banner.address as Pointer;
    this.rules = new TcpRules(
      start.settings,
      start.tables,
      start.index,
      this.#slots,
      clock,
      new Banner(start.settings.bannerFields, this.#banner.bytes),
    );
    this.#windowBytes = this.#window();
    this.#scratch.words[136 / 4] = 1;
    this.#reserve = this.#libc.eventfd(0, 0);
    for (const { fd } of listeners) {
      this.#kind[fd] = LISTENER;
      interest.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  /** Draining begins: serves those that the kernel has already let in, then accepts no more. */
  stopListening(): void {
    this.#draining = true;
    for (const listener of this.#listeners) {
      for (let left = BACKLOG; left > 0 && this.#acceptTurn(listener); left -= ACCEPTS_PER_TURN);
      this.#kind[listener.fd] = NONE;
      this.#interest.remove(listener.fd);
    }
  }

  /** A listener has newcomers. */
  accept(fd: number): void {
    this.#acceptTurn(this.#listeners.find((socket) => socket.fd === fd)!);
  }

  /** Accepts up to a bound. True if there may be more. */
  #acceptTurn(listener: BoundSocket): boolean {
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      const accepted = this.#acceptOne(listener.fd);
      if (accepted >= 0) {
        this.#admit(accepted, listener);
        continue;
      }
      const errno = this.#libc.errno();
      if (errno === EAGAIN || errno === EINTR) return false;
      if (errno !== ECONNABORTED && !this.#refuseOne(listener.fd)) {
        // Not even the reserve helps. A listener with newcomers is always ready, so the loop would spin.
        this.#exhausted = true;
        this.#interest.set(EPOLL_CTL_MOD, listener.fd, 0);
        return false;
      }
    }
    return true;
  }

  /** Looks again at listeners that were left alone for want of descriptors; once per tick. */
  retryAccept(): void {
    if (!this.#exhausted || this.#draining) return;
    this.#exhausted = false;
    for (const { fd } of this.#listeners) this.#interest.set(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  #acceptOne(fd: number): number {
    this.#scratch.words[128 / 4] = SOCKADDR_BYTES;
    return this.#libc.accept4(fd, this.#peerAddress, this.#lengthAddress, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }

  /** Out of descriptors: gives up the reserve to accept one newcomer and reset it. False if even that fails. */
  #refuseOne(fd: number): boolean {
    if (this.#reserve === -1) this.#reserve = this.#libc.eventfd(0, 0);
    if (this.#reserve === -1) return false;
    this.#libc.close(this.#reserve);
    const accepted = this.#acceptOne(fd);
    if (accepted >= 0) {
      this.rules.countRefusal("no_descriptors");
      this.#reset(accepted);
    }
    this.#reserve = this.#libc.eventfd(0, 0);
    return accepted >= 0;
  }

  #admit(fd: number, listener: BoundSocket): void {
    if (fd >= this.#slots) {
      this.rules.countRefusal("no_descriptors");
      this.#reset(fd);
      return;
    }
    const peer = this.#peer.read(this.#scratch.view, 0);
    const local = this.#localEnd(fd, listener);
    const phase = this.rules.open(fd, peer, peer.port, local, local.port);
    if (phase === REFUSED) {
      this.#reset(fd);
      return;
    }
    if (this.#onSessionEnd !== null) this.#remember(fd);
    this.#kind[fd] = phase === AWAITING_HEADER ? HEADER : ECHOING;
    this.#interest.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    if (phase === OPEN) this.#greet(fd);
  }

  /** This connection's own end: known from the listener, or asked for where that has every address. */
  #localEnd(fd: number, listener: BoundSocket): Sockaddr {
    const local = this.#local;
    if (listener.wildcard) {
      this.#scratch.words[128 / 4] = SOCKADDR_BYTES;
      this.#libc.getsockname(fd, this.#localAddress, this.#lengthAddress);
      return local.read(this.#scratch.view, 64);
    }
    ({ a0: local.a0, a1: local.a1, a2: local.a2, a3: local.a3 } = listener.address);
    local.port = listener.port;
    return local;
  }

  /**
   * Sends the banner, and with it the echo of what the client has sent already: one that does not wait for the
   * banner then costs one segment instead of two. What came with a PROXY header goes before that.
   */
  #greet(fd: number): void {
    const { bannerLength, pending } = this.rules;
    const early = pending.length > 0 ? 0 : this.#receiveEarly(fd, bannerLength);
    const length = bannerLength + early;
    if (length > 0) {
      const sent = Math.max(0, this.#libc.send(fd, this.#bannerAddress, length, MSG_NOSIGNAL));
      this.rules.row[C.tcpSentBytes]! += sent;
      if (sent < length) this.#enqueue(fd, this.#banner.bytes.subarray(sent, length));
    }
    for (let at = 0; at < pending.length; at += WINDOW_BYTES) {
      const piece = pending.subarray(at, at + WINDOW_BYTES);
      if (this.#kind[fd] === BLOCKED) this.#enqueue(fd, piece);
      else if (this.#kind[fd] === ECHOING) this.#sendCopy(fd, piece);
    }
  }

  /** Receives behind the banner what the client sent with its connection; a FIN or an error shows again later. */
  #receiveEarly(fd: number, bannerLength: number): number {
    const address = (this.#banner.address + bannerLength) as Pointer;
    const early = Math.max(0, this.#libc.recv(fd, address, EARLY_BYTES, 0));
    this.rules.row[C.tcpReceivedBytes]! += early;
    return early;
  }

  /** The hot path: bytes came on an echoing session. */
  readable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, this.#windowBytes, 0);
    if (length > 0) {
      const row = this.rules.row;
      row[C.tcpReceivedBytes]! += length;
      this.rules.lastActiveMs[fd] = this.#clock.nowMs;
      const sent = this.#libc.send(fd, this.#bufferAddress, length, MSG_NOSIGNAL);
      if (sent === length) row[C.tcpSentBytes]! += length;
      else this.#unsent(fd, sent, length);
    } else {
      this.#ended(fd, length);
    }
  }

  #sendCopy(fd: number, bytes: Uint8Array): void {
    this.#buffer.bytes.set(bytes);
    const sent = this.#libc.send(fd, this.#bufferAddress, bytes.length, MSG_NOSIGNAL);
    if (sent === bytes.length) this.rules.row[C.tcpSentBytes]! += sent;
    else this.#unsent(fd, sent, bytes.length);
  }

  /** The kernel took `sent` of `length` bytes, or answered -1. */
  #unsent(fd: number, sent: number, length: number): void {
    if (sent < 0) {
      const errno = this.#libc.errno();
      if (errno !== EAGAIN && errno !== EINTR) {
        this.close(fd, "reset");
        return;
      }
      sent = 0;
    }
    this.rules.row[C.tcpSentBytes]! += sent;
    this.#enqueue(fd, this.#buffer.bytes.subarray(sent, length));
  }

  /** Keeps a copy of what is owed and waits until the kernel takes more. */
  #enqueue(fd: number, rest: Uint8Array): void {
    const queue = this.#queues.get(fd);
    const owed = queue === undefined ? rest.slice() : concat(queue.bytes.subarray(queue.sent), rest);
    this.#queues.set(fd, { bytes: owed, sent: 0 });
    this.#countQueued(rest.length);
    if (owed.length > this.#start.settings.maxQueuedBytes) {
      this.#abort(fd, "queued_bytes");
    } else if (this.#kind[fd] !== BLOCKED) {
      this.#kind[fd] = BLOCKED;
      this.#interest.set(EPOLL_CTL_MOD, fd, EPOLLOUT);
    }
  }

  /** The kernel takes more of what is owed to a slow reader. */
  writable(fd: number): void {
    const queue = this.#queues.get(fd)!;
    const piece = queue.bytes.subarray(queue.sent, queue.sent + WINDOW_BYTES);
    this.#buffer.bytes.set(piece);
    const sent = this.#libc.send(fd, this.#bufferAddress, piece.length, MSG_NOSIGNAL);
    if (sent < 0) {
      const errno = this.#libc.errno();
      if (errno !== EAGAIN && errno !== EINTR) this.close(fd, "reset");
      return;
    }
    queue.sent += sent;
    this.rules.row[C.tcpSentBytes]! += sent;
    this.rules.lastActiveMs[fd] = this.#clock.nowMs;
    this.#countQueued(-sent);
    if (queue.sent < queue.bytes.length) return;
    this.#queues.delete(fd);
    this.#kind[fd] = ECHOING;
    if (this.#cutting) this.#finish(fd);
    else this.#interest.set(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  /** Bytes, a FIN or an error came on a session that waits for its PROXY header. */
  headerReadable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, this.#windowBytes, 0);
    if (length < 0) this.#ended(fd, length);
    else if (length === 0) this.#headerOver(fd, "proxy_missing");
    else this.#proceed(fd, this.rules.header(fd, this.#buffer.bytes.subarray(0, length)));
  }

  /** What comes after the FIN of a cut session is thrown away, until the peer's own FIN. */
  lingeringReadable(fd: number): void {
    if (this.#libc.recv(fd, this.#bufferAddress, WINDOW_BYTES, 0) <= 0) this.close(fd, "cut");
  }

  idle(fd: number): void {
    if (this.#queues.has(fd)) this.#abort(fd, "idle_timeout");
    else this.close(fd, "idle_timeout");
  }

  headerTimeout(fd: number): void {
    this.#headerOver(fd, "proxy_timeout");
  }

  #headerOver(fd: number, reason: "proxy_missing" | "proxy_timeout"): void {
    this.#proceed(fd, this.rules.headerEnd(fd, reason));
  }

  #proceed(fd: number, phase: number): void {
    if (phase === REFUSED) {
      this.#abort(fd, "refused");
    } else if (phase === OPEN) {
      this.#kind[fd] = ECHOING;
      this.#greet(fd);
    }
  }

  /** recv(2) said FIN (0) or failed (-1). */
  #ended(fd: number, result: number): void {
    if (result === 0) {
      this.close(fd, this.#draining ? "drained" : "client");
      return;
    }
    const errno = this.#libc.errno();
    if (errno !== EAGAIN && errno !== EINTR) this.close(fd, "reset");
  }

  /** Ends every session: what is owed is flushed while the peer takes it, then FIN. */
  cut(): void {
    this.#cutting = true;
    this.#each((fd, kind) => {
      if (kind === ECHOING) this.#finish(fd);
      else if (kind === HEADER) this.close(fd, "cut");
    });
  }

  #finish(fd: number): void {
    this.#kind[fd] = LINGERING;
    this.#interest.set(EPOLL_CTL_MOD, fd, EPOLLIN);
    this.#libc.shutdown(fd, SHUT_WR);
  }

  /** Closes what is left: at the server's end (`cut`), or after a fault in this loop (`worker_died`). */
  closeAll(reason: TcpClose): void {
    this.#each((fd) => this.close(fd, reason));
    if (this.#reserve !== -1) this.#libc.close(this.#reserve);
  }

  #each(act: (fd: number, kind: number) => void): void {
    for (let fd = 0; fd < this.#slots && this.rules.active > 0; fd++) {
      const kind = this.#kind[fd]!;
      if (kind >= ECHOING && kind <= LINGERING) act(fd, kind);
    }
  }

  /** Closes a session: FIN, or a reset where the peer's bytes were not read. The descriptor leaves the epoll set with it. */
  close(fd: number, reason: TcpClose): void {
    this.#kind[fd] = NONE;
    const queue = this.#queues.get(fd);
    if (queue !== undefined) {
      this.#queues.delete(fd);
      this.#countQueued(queue.sent - queue.bytes.length);
    }
    if (this.#onSessionEnd !== null) this.#report(fd, reason);
    this.rules.close(fd, reason);
    this.#libc.close(fd);
  }

  /** Closes a session by a reset. */
  #abort(fd: number, reason: TcpClose): void {
    this.#libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#lingerAddress, 8);
    this.close(fd, reason);
  }

  /** Resets a connection that is no session. */
  #reset(fd: number): void {
    this.#libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#lingerAddress, 8);
    this.#libc.close(fd);
  }

  #countQueued(bytes: number): void {
    this.rules.row[C.tcpQueuedBytes]! += bytes;
    this.#windowBytes = this.#window();
  }

  /** Never more than may be queued: reading stops at the first byte unsent, so the bound holds by itself. */
  #window(): number {
    const pressed = this.rules.row[C.tcpQueuedBytes]! > QUEUED_BYTES_PRESSURE;
    return Math.min(
      pressed ? WINDOW_BYTES_UNDER_PRESSURE : WINDOW_BYTES,
      this.#start.settings.maxQueuedBytes,
    );
  }

  #remember(fd: number): void {
    const client = formatEndpoint(this.#peer, this.#peer.port);
    this.#servers.set(fd, `${client} ${formatEndpoint(this.#local, this.#local.port)}`);
  }

  #report(fd: number, reason: TcpClose): void {
    const [client, server] = (this.#servers.get(fd) ?? " ").split(" ");
    this.#servers.delete(fd);
    this.#onSessionEnd!({
      protocol: "tcp",
      client: client!,
      server: server!,
      reason,
      seconds: this.rules.age(fd),
    });
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
