import type { Pointer } from "bun:ffi";
import { formatEndpoint } from "../../rules/address.ts";
import { Banner, bannerBytesMax } from "../../rules/banner.ts";
import type { Clock } from "../../rules/clock.ts";
import { C, type TcpClose } from "../../rules/counters.ts";
import { AWAITING_HEADER, OPEN, REFUSED, type TcpDeadlines, TcpRules } from "../../rules/tcp.ts";
import {
  EAGAIN,
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
} from "../../sys/libc.ts";
import type { LoopStart, SessionEnd } from "../loop.ts";
import { abortiveClose, type BoundSocket, type Sockaddr } from "../sockets.ts";
import { Acceptor } from "./acceptor.ts";
import type { Interest } from "./interest.ts";
import { BLOCKED, ECHOING, HEADER, LINGERING, NONE } from "./kinds.ts";
import { LinuxProbes, PROBE_DESCRIPTORS } from "./probes.ts";

/** The most that is read at once: what a slow reader can leave unsent, and so what it can cost. */
const WINDOW_BYTES = 64 * 1024;

/** With this much queued in all, sessions are read in small pieces: many slow readers then cost 8 KiB each, not 64. */
const QUEUED_BYTES_PRESSURE = 32 * 1024 * 1024;
const WINDOW_BYTES_UNDER_PRESSURE = 8 * 1024;

/** Reads of a session that is to be cut: a client that never stops sending must not keep it. */
const LAST_TURNS = 64;

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
  readonly acceptor: Acceptor;
  readonly probes: LinuxProbes;
  readonly #libc: Libc = loadLibc();
  readonly #start: LoopStart;
  readonly #clock: Clock;
  readonly #interest: Interest;
  readonly #kind: Uint8Array;
  readonly #slots: number;
  readonly #queues = new Map<number, Queue>();
  /** Both ends of each session as text, where sessions are logged. */
  readonly #ends = new Map<number, Pick<SessionEnd, "client" | "server">>();
  readonly #onSessionEnd: ((end: SessionEnd) => void) | null;

  readonly #buffer = nativeMemory(WINDOW_BYTES);
  readonly #bufferAddress = this.#buffer.address as Pointer;
  readonly #banner: NativeMemory;
  readonly #bannerAddress: Pointer;
  #windowBytes: number;
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
    this.#slots = kind.length - PROBE_DESCRIPTORS;
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
    this.probes = new LinuxProbes(clock, interest, kind, this.#buffer);
    this.acceptor = new Acceptor(listeners, interest, kind, {
      admit: (fd, peer, local) => this.#admit(fd, peer, local),
      turnedAway: () => this.rules.countRefusal("no_descriptors"),
    });
  }

  /** Draining begins: no newcomers from here on. */
  stopListening(): void {
    this.#draining = true;
    this.acceptor.stop();
  }

  #admit(fd: number, peer: Sockaddr, local: Sockaddr): void {
    if (this.rules.openProbe(peer, peer.port, local, local.port)) {
      this.probes.begin(fd, this.#bannerAddress, this.rules.bannerLength);
      return;
    }
    if (fd >= this.#slots) {
      this.rules.countRefusal("no_descriptors");
      abortiveClose(fd);
      return;
    }
    const phase = this.rules.open(fd, peer, peer.port, local, local.port);
    if (phase === REFUSED) {
      abortiveClose(fd);
      return;
    }
    if (this.#onSessionEnd !== null) this.#remember(fd, peer, local);
    this.#kind[fd] = phase === AWAITING_HEADER ? HEADER : ECHOING;
    this.#interest.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    if (phase === OPEN) this.#greet(fd);
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
      if (kind === ECHOING) this.#lastCall(fd);
      else if (kind === HEADER) this.close(fd, "cut");
    });
  }

  /** What has arrived by now is still echoed. */
  #lastCall(fd: number): void {
    const row = this.rules.row;
    for (let turns = 0; turns < LAST_TURNS && this.#kind[fd] === ECHOING; turns++) {
      const received = row[C.tcpReceivedBytes];
      this.readable(fd);
      if (row[C.tcpReceivedBytes] === received) break;
    }
    if (this.#kind[fd] === ECHOING) this.#finish(fd);
  }

  #finish(fd: number): void {
    this.#kind[fd] = LINGERING;
    this.#interest.set(EPOLL_CTL_MOD, fd, EPOLLIN);
    this.#libc.shutdown(fd, SHUT_WR);
  }

  /** Closes what is left: at the server's end (`cut`), or after a fault in this loop (`worker_died`). */
  closeAll(reason: TcpClose): void {
    this.#each((fd) => this.close(fd, reason));
    this.probes.closeAll();
    this.acceptor.close();
  }

  #each(act: (fd: number, kind: number) => void): void {
    for (let fd = 0; fd < this.#slots && this.rules.active > 0; fd++) {
      const kind = this.#kind[fd]!;
      if (kind >= ECHOING && kind <= LINGERING) act(fd, kind);
    }
  }

  /** Closes a session: FIN, or a reset where the peer's bytes were not read. */
  close(fd: number, reason: TcpClose): void {
    this.#forget(fd, reason);
    this.#libc.close(fd);
  }

  /** Closes a session by a reset. */
  #abort(fd: number, reason: TcpClose): void {
    this.#forget(fd, reason);
    abortiveClose(fd);
  }

  /** The descriptor leaves the epoll set by being closed. */
  #forget(fd: number, reason: TcpClose): void {
    this.#kind[fd] = NONE;
    const queue = this.#queues.get(fd);
    if (queue !== undefined) {
      this.#queues.delete(fd);
      this.#countQueued(queue.sent - queue.bytes.length);
    }
    if (this.#onSessionEnd !== null) this.#report(fd, reason);
    this.rules.close(fd, reason);
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

  #remember(fd: number, peer: Sockaddr, local: Sockaddr): void {
    this.#ends.set(fd, {
      client: formatEndpoint(peer, peer.port),
      server: formatEndpoint(local, local.port),
    });
  }

  #report(fd: number, reason: TcpClose): void {
    const ends = this.#ends.get(fd)!;
    this.#ends.delete(fd);
    this.#onSessionEnd!({ protocol: "tcp", ...ends, reason, seconds: this.rules.age(fd) });
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
