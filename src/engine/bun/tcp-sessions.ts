import type { SocketHandler } from "bun";
import type { TcpRules } from "../../rules/tcp.ts";
import type { TcpDeadlines } from "../../rules/tcp-engine.ts";
import { AWAITING_LATE_HEADER, OPEN, type Phase, REFUSED } from "../../rules/tcp-phase.ts";
import type { Clock } from "../../state/clock.ts";
import { COUNTER } from "../../state/counters.ts";
import type { TcpEvents } from "../loop.ts";
import { TcpProgress } from "../progress.ts";
import { SessionLog } from "../session-log.ts";
import { descriptorOf } from "./bind.ts";
import { abort, type Connection, Connections, close } from "./connections.ts";
import { BunEndings } from "./endings.ts";
import {
  ALL_QUEUED_BYTES_MAX,
  narrowWindow,
  QUEUED_BYTES_PRESSURE,
  RELEASE_BYTES_MIN,
  release,
} from "./memory.ts";
import { BunProbes } from "./probes.ts";
import { AWAITING_HEADER, BLOCKED, ECHOING, LAST_BYTES, PROBE, Session } from "./session.ts";

/**
 * The life of an admitted TCP connection: `begin` sends the banner; `#readable` sends back what came, at once; what the
 * kernel did not take is kept, and until it is sent (`#writable`) nothing more is read: that is the back-pressure. The
 * peer's FIN (`#peerFin`) closes the session once its queue is empty. `#closed` is called at every end. Nothing is allocated
 * per message, and a session is found by its socket.
 */
export class TcpSessions implements TcpDeadlines {
  /** Handlers for Bun.listen, all but `open`, which `BunTcp` adds. */
  readonly handlers: SocketHandler<Session | null>;
  readonly probes: BunProbes;
  readonly #rules: TcpRules;
  readonly #clock: Clock;
  readonly #counters: Float64Array;
  readonly #lastActiveMs: Float64Array;
  readonly #broughtBytes: Float64Array;
  readonly #maxQueuedBytes: number;
  readonly #events: TcpEvents;
  /** Null unless sessions are logged. */
  readonly log: SessionLog | null;
  readonly #connections = new Connections();
  readonly #progress: TcpProgress;
  readonly endings: BunEndings;
  #draining = false;
  /** Called when the last session has ended. */
  #onEmpty: (() => void) | null = null;

  /** @param slots sessions of this loop at most */
  constructor(rules: TcpRules, clock: Clock, slots: number, maxQueuedBytes: number, events: TcpEvents) {
    this.#rules = rules;
    this.probes = new BunProbes(clock);
    this.#clock = clock;
    this.#counters = rules.counters;
    this.#lastActiveMs = rules.lastActiveMs;
    this.#broughtBytes = rules.broughtBytes;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#events = events;
    this.log = events.onSession === null ? null : new SessionLog(events.onSession, rules.counters);
    this.#progress = new TcpProgress(slots);
    this.endings = new BunEndings(this.#connections, rules, this.#progress, clock);
    this.handlers = {
      data: this.log === null ? this.#readable : (socket, chunk) => this.#loggedReadable(socket, chunk),
      drain: (socket) => this.#writable(socket),
      end: (socket) => this.#peerFin(socket),
      close: (socket, error) => this.#closed(socket, error),
      error: (socket, error) => this.#fault(socket, error),
    };
  }

  /** The slot that the next session gets. */
  nextSlot(): number {
    return this.#connections.nextSlot();
  }

  /** Each event is said to be whose it is: a wrapper, so that it costs nothing where sessions are not logged. */
  #loggedReadable(socket: Connection, chunk: Uint8Array): void {
    const session = socket.data;
    if (session !== null && session.state !== PROBE) this.log!.turn(session.slot);
    this.#readable(socket, chunk);
  }

  /** A connection was admitted, in `slot`. */
  begin(socket: Connection, slot: number, phase: Phase): void {
    const session = new Session(slot, phase === OPEN ? ECHOING : AWAITING_HEADER);
    socket.data = session;
    this.#connections.add(socket);
    if (this.#counters[COUNTER.tcpQueuedBytes]! > QUEUED_BYTES_PRESSURE) narrowWindow(descriptorOf(socket));
    if (phase === OPEN) this.#greet(socket, session);
  }

  /** Sends the banner, then what came with a PROXY header. */
  #greet(socket: Connection, session: Session): void {
    const { banner, opened } = this.#rules;
    const { bannerLength, pending } = opened;
    this.log?.open(session.slot, opened.source);
    // A copy: the banner's bytes are written anew for the next session, and these may have to wait.
    if (bannerLength > 0) this.#send(socket, session, banner.bytes.slice(0, bannerLength));
    if (pending.length > 0) this.#send(socket, session, pending);
  }

  /** The hot path: bytes came. */
  readonly #readable = (socket: Connection, chunk: Uint8Array): void => {
    const session = socket.data;
    if (session === null) return;
    if (session.state !== ECHOING) {
      this.#notEchoing(socket, session, chunk);
      return;
    }
    const counters = this.#counters;
    const { length } = chunk;
    counters[COUNTER.tcpReceivedBytes]! += length;
    this.#broughtBytes[session.slot]! += length;
    this.#lastActiveMs[session.slot] = this.#clock.nowMs;
    const sent = socket.write(chunk);
    if (sent === length) {
      counters[COUNTER.tcpSentBytes]! += length;
      if (length >= RELEASE_BYTES_MIN) release(chunk);
    } else {
      this.#unsent(socket, session, chunk, sent);
    }
  };

  /** Bytes came that are not to be sent back at once. */
  #notEchoing(socket: Connection, session: Session, chunk: Uint8Array): void {
    if (session.state === AWAITING_HEADER) {
      this.#proceed(socket, session, this.#rules.header(session.slot, chunk));
    } else if (session.state === LAST_BYTES) {
      this.#counters[COUNTER.tcpReceivedBytes]! += chunk.length;
      this.#broughtBytes[session.slot]! += chunk.length;
      session.unread -= chunk.length;
      this.#send(socket, session, chunk);
      if (session.state === LAST_BYTES && session.unread <= 0) this.endings.lastCall(socket, session);
    } else if (session.state === BLOCKED) {
      // After a reset Bun delivers what the kernel still had, though the socket is paused. The next write fails, which
      // shows that there is no reader to queue it for.
      this.#counters[COUNTER.tcpReceivedBytes]! += chunk.length;
      this.#broughtBytes[session.slot]! += chunk.length;
      this.#flush(socket, session);
      if (!session.dead) this.#enqueue(socket, session, chunk, 0);
    } else if (session.state === PROBE) {
      this.probes.echo(socket, chunk);
    }
  }

  #send(socket: Connection, session: Session, bytes: Uint8Array): void {
    const sent = session.queuedBytes > 0 ? 0 : socket.write(bytes);
    if (sent === bytes.length) this.#counters[COUNTER.tcpSentBytes]! += sent;
    else this.#unsent(socket, session, bytes, sent);
  }

  /** The kernel took `sent` of the bytes, or -1: the connection is gone, and Bun is about to tell. */
  #unsent(socket: Connection, session: Session, bytes: Uint8Array, sent: number): void {
    if (sent < 0) {
      session.dead = true;
      return;
    }
    this.#counters[COUNTER.tcpSentBytes]! += sent;
    this.#enqueue(socket, session, bytes, sent);
  }

  /** Queues `bytes` without their first `sent`. They belong to the session now, which reads nothing until they are sent. */
  #enqueue(socket: Connection, session: Session, bytes: Uint8Array, sent: number): void {
    const queued = this.#counters[COUNTER.tcpQueuedBytes]! + bytes.length - sent;
    this.#counters[COUNTER.tcpQueuedBytes] = queued;
    session.enqueue(bytes, sent);
    if (session.queuedBytes > this.#maxQueuedBytes || queued > ALL_QUEUED_BYTES_MAX) {
      abort(socket, session, "queued_bytes");
      return;
    }
    if (queued > QUEUED_BYTES_PRESSURE) narrowWindow(descriptorOf(socket));
    if (session.state === BLOCKED) return;
    session.state = BLOCKED;
    socket.pause();
  }

  /** The kernel may take more. Bun also says so after pause, resume and half-close: then there is nothing to do. */
  #writable(socket: Connection): void {
    const session = socket.data;
    if (session === null || session.state !== BLOCKED) return;
    this.log?.turn(session.slot);
    this.#flush(socket, session);
    if (session.dead) socket.resume(); // paused, Bun would never tell of a reset that a write has met
    if (session.queuedBytes > 0 || session.dead) return;
    if (session.fin) close(socket, session);
    else if (this.endings.cutting) this.endings.lastCall(socket, session);
    else {
      session.state = this.#rules.phase(session.slot) === OPEN ? ECHOING : AWAITING_HEADER;
      socket.resume();
    }
  }

  #flush(socket: Connection, session: Session): void {
    const sent = session.flush(socket);
    if (sent < 0) session.dead = true;
    if (sent <= 0) return;
    this.#counters[COUNTER.tcpSentBytes]! += sent;
    this.#counters[COUNTER.tcpQueuedBytes]! -= sent;
    this.#lastActiveMs[session.slot] = this.#clock.nowMs;
  }

  /** The peer sent its FIN: it sends nothing more, but still reads what is queued for it. */
  #peerFin(socket: Connection): void {
    const session = socket.data;
    if (session === null) return;
    session.fin = true;
    if (session.state === AWAITING_HEADER) {
      this.log?.turn(session.slot);
      this.#proceed(socket, session, this.#rules.headerEnd(session.slot, "proxy_missing"));
    }
    if (session.queuedBytes === 0 && !session.closing) close(socket, session);
  }

  lastMovedMs(slot: number): number {
    const socket = this.#connections.get(slot);
    const [fd, reads] = [descriptorOf(socket), socket.data?.state !== BLOCKED];
    return this.#progress.lastMovedMs(fd, slot, this.#lastActiveMs[slot]!, this.#clock.nowMs, reads);
  }

  /** Ends by a FIN; where bytes are unsent, by a reset: the peer must not take a part for the whole. */
  idle(slot: number): void {
    const socket = this.#connections.get(slot);
    const session = socket.data!;
    session.reason ??= "idle_timeout";
    if (session.queuedBytes > 0) abort(socket, session, "idle_timeout");
    else close(socket, session);
  }

  headerTimeout(slot: number): void {
    const socket = this.#connections.get(slot);
    this.log?.turn(slot);
    try {
      const phase = this.#rules.headerEnd(slot, "proxy_timeout");
      if (phase === AWAITING_LATE_HEADER) this.#greet(socket, socket.data!);
      else this.#proceed(socket, socket.data!, phase);
    } catch (fault) {
      this.#fault(socket, fault);
    }
  }

  #proceed(socket: Connection, session: Session, phase: Phase): void {
    if (phase === REFUSED) abort(socket, session, "refused");
    if (phase !== OPEN) return;
    session.state = ECHOING;
    this.#greet(socket, session);
  }

  /** The one end of every session. */
  #closed(socket: Connection, error: Error | undefined): void {
    const session = socket.data;
    if (session === null) return; // it was not admitted
    socket.data = null;
    if (session.state === PROBE) {
      this.probes.closed(socket);
      return;
    }
    const byPeer = error !== undefined || session.dead ? "reset" : this.#draining ? "drained" : "client";
    const reason = session.reason ?? byPeer;
    this.#clock.tick();
    this.#counters[COUNTER.tcpQueuedBytes]! -= session.queuedBytes;
    session.dropQueue();
    const { slot } = session;
    this.log?.end(slot, reason, this.#rules.age(slot));
    this.#rules.close(slot, reason);
    this.#progress.forget(slot);
    this.#connections.remove(slot);
    if (this.#rules.active === 0) this.#onEmpty?.();
  }

  /**
   * A handler threw, which is a bug: what is known of this session is wrong, and nobody else's session is. Where there
   * is none, it is the tables: the thread is told, rather than serve on with who knows what.
   */
  #fault(socket: Connection, fault: unknown): void {
    const session = socket.data;
    if (session === null) {
      socket.terminate();
      queueMicrotask(() => {
        throw fault;
      });
      return;
    }
    abort(socket, session, "fault");
    this.#events.onFault(fault);
  }

  /** From here on a session that its client ends counts as drained. */
  drain(): void {
    this.#draining = true;
  }

  /** Resolves when there is no session. */
  async empty(): Promise<void> {
    if (this.#rules.active === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    await promise;
  }
}
