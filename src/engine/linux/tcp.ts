import type { Pointer } from "bun:ffi";
import { Banner, bannerBytesMax } from "../../rules/banner.ts";
import { TcpRules } from "../../rules/tcp.ts";
import type { TcpDeadlines } from "../../rules/tcp-engine.ts";
import { AWAITING_LATE_HEADER, OPEN, type Phase, REFUSED } from "../../rules/tcp-phase.ts";
import type { Clock } from "../../state/clock.ts";
import { COUNTER } from "../../state/counters.ts";
import type { EpollSet } from "../../sys/epoll.ts";
import { isTransient, type Libc, loadLibc, MSG_NOSIGNAL } from "../../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../../sys/memory.ts";
import type { Sockaddr } from "../../sys/sockaddr.ts";
import { abortiveClose } from "../../sys/socket.ts";
import type { BoundSocket } from "../bind.ts";
import type { LoopStart, TcpEvents } from "../loop.ts";
import { Acceptor } from "./acceptor.ts";
import { LinuxEndings } from "./endings.ts";
import { AWAITING_HEADER, BLOCKED, ECHOING, LINGERING } from "./kinds.ts";
import { logTurns } from "./log-turns.ts";
import { LinuxProbes, PROBE_DESCRIPTORS } from "./probes.ts";
import { SendQueues, WINDOW_BYTES } from "./send-queues.ts";
import { LinuxSessions } from "./sessions.ts";

/** The most bytes that are echoed in the banner's segment: what a client that speaks first has in its first segment. */
const EARLY_BYTES = 2048;

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
  readonly #clock: Clock;
  readonly #kind: Uint8Array;
  readonly #slots: number;
  readonly #queues: SendQueues;
  readonly #sessions: LinuxSessions;
  readonly #endings: LinuxEndings;
  readonly #buffer = nativeMemory(WINDOW_BYTES);
  readonly #bufferAddress = this.#buffer.address as Pointer;
  readonly #banner: NativeMemory;
  readonly #bannerAddress: Pointer;
  #windowBytes: number;
  #draining = false;

  constructor(
    start: LoopStart,
    clock: Clock,
    epoll: EpollSet,
    kind: Uint8Array,
    listeners: readonly BoundSocket[],
    events: TcpEvents,
  ) {
    this.#clock = clock;
    this.#kind = kind;
    this.#slots = kind.length - PROBE_DESCRIPTORS;
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
    this.#queues = new SendQueues(this.rules.counters, start.settings.maxQueuedBytes);
    this.#windowBytes = this.#queues.windowBytes();
    this.#sessions = new LinuxSessions(this.rules, epoll, kind, this.#queues, events);
    if (this.#sessions.log !== null) logTurns(this, this.#sessions.log);
    this.#endings = new LinuxEndings(this.#sessions, (fd, limit) => this.#echo(fd, limit), clock);
    this.probes = new LinuxProbes(clock, epoll, kind, this.#buffer);
    this.acceptor = new Acceptor(listeners, epoll, kind, {
      admit: (fd, peer, local) => this.#admit(fd, peer, local),
      turnedAway: () => this.rules.countRefusal("no_descriptors"),
    });
  }

  /** Draining begins: no newcomers from here on. */
  drain(): void {
    this.#draining = true;
    this.acceptor.stop();
  }

  #admit(fd: number, peer: Sockaddr, local: Sockaddr): void {
    if (this.rules.openProbe(peer, peer.port, local, local.port)) {
      this.probes.begin(fd, this.#bannerAddress, this.rules.opened.bannerLength);
      return;
    }
    if (fd >= this.#slots) {
      this.rules.countRefusal("no_descriptors");
      abortiveClose(fd);
      return;
    }
    try {
      const phase = this.rules.open(fd, peer, peer.port, local, local.port);
      if (phase === REFUSED) {
        abortiveClose(fd);
        return;
      }
      const added = this.#sessions.add(fd, phase === OPEN ? ECHOING : AWAITING_HEADER, peer, local);
      if (added && phase === OPEN) this.#greet(fd);
    } catch (fault) {
      this.#sessions.fault(fd, fault);
    }
  }

  /**
   * Sends the banner, and with it the echo of what the client has sent already: one that does not wait for the
   * banner then costs one segment instead of two. What came with a PROXY header goes before that.
   */
  #greet(fd: number): void {
    const { bannerLength, pending, source } = this.rules.opened;
    this.#sessions.log?.open(fd, source);
    const goesAlone = bannerLength === 0 || pending.length > 0 || this.#kind[fd] === AWAITING_HEADER;
    const early = goesAlone ? 0 : this.#receiveEarly(fd, bannerLength);
    const length = bannerLength + early;
    if (length > 0) {
      const sent = Math.max(0, this.#libc.send(fd, this.#bannerAddress, length, MSG_NOSIGNAL));
      this.rules.counters[COUNTER.tcpSentBytes]! += sent;
      if (sent < length) this.#enqueue(fd, this.#banner.bytes.subarray(sent, length));
    }
    for (let at = 0; at < pending.length; at += WINDOW_BYTES) {
      const piece = pending.subarray(at, at + WINDOW_BYTES);
      if (this.#kind[fd] === BLOCKED) this.#enqueue(fd, piece);
      else if (this.#kind[fd] === ECHOING) {
        this.#buffer.bytes.set(piece);
        this.#sendBuffer(fd, piece.length);
      }
    }
  }

  /** Receives, behind the banner in its memory, what the client has sent. A reset shows again only as the banner's EPIPE. */
  #receiveEarly(fd: number, bannerLength: number): number {
    const address = (this.#banner.address + bannerLength) as Pointer;
    const early = Math.max(0, this.#libc.recv(fd, address, EARLY_BYTES, 0));
    this.rules.counters[COUNTER.tcpReceivedBytes]! += early;
    this.rules.broughtBytes[fd]! += early;
    return early;
  }

  /** The hot path: bytes came on an echoing session. */
  readable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, this.#windowBytes, 0);
    if (length > 0) {
      const counters = this.rules.counters;
      counters[COUNTER.tcpReceivedBytes]! += length;
      this.rules.broughtBytes[fd]! += length;
      this.rules.lastActiveMs[fd] = this.#clock.nowMs;
      const sent = this.#libc.send(fd, this.#bufferAddress, length, MSG_NOSIGNAL);
      if (sent === length) counters[COUNTER.tcpSentBytes]! += length;
      else this.#unsent(fd, sent, length);
    } else {
      this.#nothingReceived(fd, length);
    }
  }

  #sendBuffer(fd: number, length: number): void {
    const sent = this.#libc.send(fd, this.#bufferAddress, length, MSG_NOSIGNAL);
    if (sent === length) this.rules.counters[COUNTER.tcpSentBytes]! += sent;
    else this.#unsent(fd, sent, length);
  }

  /** The kernel took `sent` of `length` bytes, or answered -1. */
  #unsent(fd: number, sent: number, length: number): void {
    try {
      if (sent < 0 && !isTransient(this.#libc.errno())) {
        this.#sessions.close(fd, "reset");
        return;
      }
      const taken = Math.max(0, sent);
      this.rules.counters[COUNTER.tcpSentBytes]! += taken;
      this.#enqueue(fd, this.#buffer.bytes.subarray(taken, length));
    } catch (fault) {
      this.#sessions.fault(fd, fault);
    }
  }

  /** Queues a copy of `rest`. The session reads nothing more until the kernel has taken it. */
  #enqueue(fd: number, rest: Uint8Array): void {
    const within = this.#queues.add(fd, rest);
    this.#windowBytes = this.#queues.windowBytes();
    if (within) this.#sessions.block(fd);
    else this.#sessions.abort(fd, "queued_bytes");
  }

  /** An event on a session of a kind other than ECHOING. */
  notEchoing(kind: number, fd: number): void {
    try {
      if (kind === BLOCKED) this.#writable(fd);
      else if (kind === AWAITING_HEADER) this.#headerReadable(fd);
      else if (kind === LINGERING) this.#lingeringReadable(fd);
    } catch (fault) {
      this.#sessions.fault(fd, fault);
    }
  }

  /** The kernel takes more of a slow reader's queue. */
  #writable(fd: number): void {
    const piece = this.#queues.next(fd);
    this.#buffer.bytes.set(piece);
    const sent = this.#libc.send(fd, this.#bufferAddress, piece.length, MSG_NOSIGNAL);
    if (sent < 0) {
      if (!isTransient(this.#libc.errno())) this.#sessions.close(fd, "reset");
      return;
    }
    this.rules.counters[COUNTER.tcpSentBytes]! += sent;
    this.rules.lastActiveMs[fd] = this.#clock.nowMs;
    const flushed = this.#queues.sent(fd, sent);
    this.#windowBytes = this.#queues.windowBytes();
    if (!flushed) return;
    this.#sessions.unblock(fd, this.rules.phase(fd) === OPEN ? ECHOING : AWAITING_HEADER);
    if (this.#endings.cutting) this.#endings.flushed(fd);
  }

  /** Bytes, a FIN or an error came on a session whose first bytes may be a PROXY header. */
  #headerReadable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, this.#windowBytes, 0);
    if (length < 0) this.#nothingReceived(fd, length);
    else if (length === 0) this.#proceed(fd, this.rules.headerEnd(fd, "proxy_missing"));
    else this.#proceed(fd, this.rules.header(fd, this.#buffer.bytes.subarray(0, length)));
  }

  #proceed(fd: number, phase: Phase): void {
    if (phase === REFUSED) this.#sessions.abort(fd, "refused");
    if (phase !== OPEN) return;
    this.#sessions.headerRead(fd);
    this.#greet(fd);
  }

  /** Throws away the bytes that come after the FIN of a cut session, until the peer's own FIN. */
  #lingeringReadable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, WINDOW_BYTES, 0);
    if (length === 0) this.#endings.peerFin(fd);
    else if (length < 0 && !isTransient(this.#libc.errno())) this.#sessions.close(fd, "cut");
  }

  lastMovedMs(fd: number): number {
    const reads = this.#kind[fd] !== BLOCKED;
    const { lastActiveMs } = this.rules;
    return this.#sessions.progress.lastMovedMs(fd, fd, lastActiveMs[fd]!, this.#clock.nowMs, reads);
  }

  /** Ends by a FIN; where bytes are unsent, by a reset. */
  idle(fd: number): void {
    this.#sessions.end(fd, "idle_timeout", "idle_timeout");
  }

  headerTimeout(fd: number): void {
    try {
      const phase = this.rules.headerEnd(fd, "proxy_timeout");
      if (phase === AWAITING_LATE_HEADER) this.#greet(fd);
      else this.#proceed(fd, phase);
    } catch (fault) {
      this.#sessions.fault(fd, fault);
    }
  }

  /** recv(2) gave no bytes: 0 is a FIN (with nothing queued, since nothing is read until all is sent), -1 an error. */
  #nothingReceived(fd: number, result: number): void {
    if (result === 0) this.#sessions.close(fd, this.#draining ? "drained" : "client");
    else if (!isTransient(this.#libc.errno())) this.#sessions.close(fd, "reset");
  }

  /** To be called once per tick of the loop's clock: looks after deadlines. */
  tick(): void {
    this.#windowBytes = this.#queues.windowBytes(); // a session may have ended, and its queue with it
    this.rules.sweep(this);
    this.acceptor.retry();
    this.#endings.tick();
    this.probes.sweep();
  }

  /** Ends every session: queued bytes are flushed while the peer takes them, then comes the FIN. */
  cut(): void {
    this.#endings.cut();
  }

  /** As `readable`, but reads at most `limit` bytes. Returns how many came. */
  #echo(fd: number, limit: number): number {
    this.#sessions.log?.turn(fd);
    const length = this.#libc.recv(fd, this.#bufferAddress, Math.min(limit, this.#windowBytes), 0);
    this.rules.counters[COUNTER.tcpReceivedBytes]! += Math.max(0, length);
    this.rules.broughtBytes[fd]! += Math.max(0, length);
    if (length > 0) this.#sendBuffer(fd, length);
    else this.#nothingReceived(fd, length);
    return length;
  }

  /** Closes everything, each session for `reason`. */
  endAll(reason: "cut" | "worker_died"): void {
    this.#endings.endAll(reason, reason === "cut" ? "cut_short" : reason);
    this.probes.closeAll();
    this.acceptor.close();
  }
}
