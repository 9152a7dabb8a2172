import type { SocketHandler } from "bun";
import {
  AWAITING_LATE_HEADER,
  OPEN,
  type Phase,
  REFUSED,
  type TcpDeadlines,
  type TcpRules,
} from "../../rules/tcp.ts";
import type { Clock } from "../../state/clock.ts";
import { C } from "../../state/counters.ts";
import { TcpProgress } from "../progress.ts";
import { type SessionEvent, SessionLog } from "../session-log.ts";
import { descriptorOf } from "./bind.ts";
import { abort, type Connection, Connections, finish } from "./connections.ts";
import { BunEndings } from "./endings.ts";
import { narrowWindow, OWED_BYTES_MAX, OWED_BYTES_PRESSURE, RELEASE_BYTES_MIN, release } from "./memory.ts";
import { BunProbes } from "./probes.ts";
import { AWAITING, BLOCKED, ECHOING, LAST, PROBE, Session } from "./session.ts";

/** What is told of sessions. */
export interface BunTcpEvents {
  /** Null to save the work. */
  readonly onSession: ((event: SessionEvent) => void) | null;
  /** A bug showed in a session, which was reset for it. */
  readonly onFault: (fault: unknown) => void;
}

/**
 * The life of an admitted TCP connection: `begin` sends the banner; `#data` sends back what came, at once; what the
 * kernel did not take is kept, and until it is sent (`#drain`) nothing more is read: that is the back-pressure. The
 * peer's FIN (`#end`) closes the session once nothing is owed. `#close` is told of every end. Nothing is allocated
 * per message, and a session is found by its socket.
 */
export class TcpSessions implements TcpDeadlines {
  /** For Bun.listen; `open` is up to whoever admits. */
  readonly handlers: SocketHandler<Session | null>;
  readonly probes: BunProbes;
  readonly #rules: TcpRules;
  readonly #clock: Clock;
  readonly #row: Float64Array;
  readonly #lastActiveMs: Float64Array;
  readonly #maxQueuedBytes: number;
  readonly #events: BunTcpEvents;
  /** Null unless sessions are logged. */
  readonly log: SessionLog | null;
  readonly #connections = new Connections();
  readonly #progress: TcpProgress;
  readonly endings: BunEndings;
  #draining = false;
  /** Told when the last session has ended. */
  #onEmpty: (() => void) | null = null;

  /** @param slots sessions of this loop at most */
  constructor(rules: TcpRules, clock: Clock, slots: number, maxQueuedBytes: number, events: BunTcpEvents) {
    this.#rules = rules;
    this.probes = new BunProbes(clock);
    this.#clock = clock;
    this.#row = rules.row;
    this.#lastActiveMs = rules.lastActiveMs;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#events = events;
    this.log = events.onSession === null ? null : new SessionLog(events.onSession, rules.row);
    this.#progress = new TcpProgress(slots);
    this.endings = new BunEndings(this.#connections, rules, this.#progress, clock);
    this.handlers = {
      data: this.log === null ? this.#data : (socket, chunk) => this.#loggedData(socket, chunk),
      drain: (socket) => this.#drain(socket),
      end: (socket) => this.#end(socket),
      close: (socket, error) => this.#close(socket, error),
      error: (socket, error) => this.#fault(socket, error),
    };
  }

  /** The slot that the next session has to have. */
  nextSlot(): number {
    return this.#connections.nextSlot();
  }

  /** Each event is said to be whose it is: a wrapper, so that it costs nothing where sessions are not logged. */
  #loggedData(socket: Connection, chunk: Uint8Array): void {
    const session = socket.data;
    if (session !== null && session.state !== PROBE) this.log!.turn(session.slot);
    this.#data(socket, chunk);
  }

  /** A connection was admitted, in `slot`. */
  begin(socket: Connection, slot: number, phase: Phase): void {
    const session = new Session(slot, phase === OPEN ? ECHOING : AWAITING);
    socket.data = session;
    this.#connections.add(socket);
    if (this.#row[C.tcpQueuedBytes]! > OWED_BYTES_PRESSURE) narrowWindow(descriptorOf(socket));
    if (phase === OPEN) this.#greet(socket, session);
  }

  /** Sends the banner, then what came with a PROXY header. */
  #greet(socket: Connection, session: Session): void {
    const { bannerLength, pending, banner } = this.#rules;
    this.log?.open(session.slot, this.#rules.source);
    // A copy: the banner's bytes are written anew for the next session, and these may have to wait.
    if (bannerLength > 0) this.#send(socket, session, banner.bytes.slice(0, bannerLength));
    if (pending.length > 0) this.#send(socket, session, pending);
  }

  /** The hot path: bytes came. */
  readonly #data = (socket: Connection, chunk: Uint8Array): void => {
    const session = socket.data;
    if (session === null) return;
    if (session.state !== ECHOING) {
      this.#notEchoing(socket, session, chunk);
      return;
    }
    const row = this.#row;
    const { length } = chunk;
    row[C.tcpReceivedBytes]! += length;
    this.#lastActiveMs[session.slot] = this.#clock.nowMs;
    const sent = socket.write(chunk);
    if (sent === length) {
      row[C.tcpSentBytes]! += length;
      if (length >= RELEASE_BYTES_MIN) release(chunk);
    } else {
      this.#unsent(socket, session, chunk, sent);
    }
  };

  /** Bytes came that are not to be sent back at once. */
  #notEchoing(socket: Connection, session: Session, chunk: Uint8Array): void {
    if (session.state === AWAITING) {
      this.#proceed(socket, session, this.#rules.header(session.slot, chunk));
    } else if (session.state === LAST) {
      this.#row[C.tcpReceivedBytes]! += chunk.length;
      session.unread -= chunk.length;
      this.#send(socket, session, chunk);
      if (session.state === LAST && session.unread <= 0) this.endings.lastCall(socket, session);
    } else if (session.state === BLOCKED) {
      // After a reset Bun delivers what the kernel still had, though the socket is paused: there is nobody left
      // to owe it to, as the next write tells.
      this.#row[C.tcpReceivedBytes]! += chunk.length;
      this.#pay(socket, session);
      if (!session.dead) this.#owe(socket, session, chunk, 0);
    } else if (session.state === PROBE) {
      this.probes.echo(socket, chunk);
    }
  }

  #send(socket: Connection, session: Session, bytes: Uint8Array): void {
    const sent = session.debt > 0 ? 0 : socket.write(bytes);
    if (sent === bytes.length) this.#row[C.tcpSentBytes]! += sent;
    else this.#unsent(socket, session, bytes, sent);
  }

  /** The kernel took `sent` of the bytes, or -1: the connection is gone, and Bun is about to tell. */
  #unsent(socket: Connection, session: Session, bytes: Uint8Array, sent: number): void {
    if (sent < 0) {
      session.dead = true;
      return;
    }
    this.#row[C.tcpSentBytes]! += sent;
    this.#owe(socket, session, bytes, sent);
  }

  /** Keeps what is owed, which belongs to the session from here on, and reads nothing more until it is sent. */
  #owe(socket: Connection, session: Session, bytes: Uint8Array, sent: number): void {
    const owed = this.#row[C.tcpQueuedBytes]! + bytes.length - sent;
    this.#row[C.tcpQueuedBytes] = owed;
    session.owe(bytes, sent);
    if (session.debt > this.#maxQueuedBytes || owed > OWED_BYTES_MAX) {
      abort(socket, session, "queued_bytes");
      return;
    }
    if (owed > OWED_BYTES_PRESSURE) narrowWindow(descriptorOf(socket));
    if (session.state === BLOCKED) return;
    session.state = BLOCKED;
    socket.pause();
  }

  /** The kernel may take more. Bun also says so after pause, resume and half-close: then there is nothing to do. */
  #drain(socket: Connection): void {
    const session = socket.data;
    if (session === null || session.state !== BLOCKED) return;
    this.log?.turn(session.slot);
    this.#pay(socket, session);
    if (session.debt > 0 || session.dead) return;
    if (session.fin) finish(socket, session);
    else if (this.endings.cutting) this.endings.lastCall(socket, session);
    else {
      session.state = this.#rules.phase(session.slot) === OPEN ? ECHOING : AWAITING;
      socket.resume();
    }
  }

  #pay(socket: Connection, session: Session): void {
    const sent = session.pay(socket);
    if (sent < 0) session.dead = true;
    if (sent <= 0) return;
    this.#row[C.tcpSentBytes]! += sent;
    this.#row[C.tcpQueuedBytes]! -= sent;
    this.#lastActiveMs[session.slot] = this.#clock.nowMs;
  }

  /** The peer sent its FIN: it will send nothing more, but still reads what it is owed. */
  #end(socket: Connection): void {
    const session = socket.data;
    if (session === null) return;
    session.fin = true;
    if (session.state === AWAITING) {
      this.log?.turn(session.slot);
      this.#proceed(socket, session, this.#rules.headerEnd(session.slot, "proxy_missing"));
    }
    if (session.debt === 0 && !session.closing) finish(socket, session);
  }

  lastMovedMs(slot: number): number {
    const fd = descriptorOf(this.#connections.get(slot));
    return this.#progress.lastMovedMs(fd, slot, this.#lastActiveMs[slot]!, this.#clock.nowMs);
  }

  /** A FIN where nothing is owed, else a reset: the peer must not take what it has for the whole. */
  idle(slot: number): void {
    const socket = this.#connections.get(slot);
    const session = socket.data!;
    session.reason ??= "idle_timeout";
    if (session.debt > 0) abort(socket, session, "idle_timeout");
    else finish(socket, session);
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
    if (phase === REFUSED) {
      abort(socket, session, "refused");
    } else if (phase === OPEN) {
      session.state = ECHOING;
      this.#greet(socket, session);
    }
  }

  /** The one end of every session. */
  #close(socket: Connection, error: Error | undefined): void {
    const session = socket.data;
    if (session === null) return; // it was not admitted
    socket.data = null;
    if (session.state === PROBE) {
      this.probes.ended(socket);
      return;
    }
    const byPeer = error !== undefined || session.dead ? "reset" : this.#draining ? "drained" : "client";
    const reason = session.reason ?? byPeer;
    this.#clock.tick();
    this.#row[C.tcpQueuedBytes]! -= session.debt;
    session.forgive();
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
