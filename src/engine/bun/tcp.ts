import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import { type Address, formatEndpoint, MAPPED, parseAddress } from "../../rules/address.ts";
import type { Clock } from "../../rules/clock.ts";
import { C, type TcpClose } from "../../rules/counters.ts";
import { AWAITING_HEADER, OPEN, type Phase, REFUSED, type TcpDeadlines, TcpRules } from "../../rules/tcp.ts";
import type { LoopStart, SessionEnd } from "../loop.ts";
import { descriptorOf } from "./bind.ts";
import { sessionDescriptorsMax } from "./descriptors.ts";
import { describeListener, listenTcp } from "./listen.ts";
import { AWAITING, BLOCKED, ECHOING, LINGERING, Session } from "./session.ts";

/** A connection: `data` is its session, null while there is none. */
type Connection = Socket<Session | null>;

/** A cut session that has its FIN may take this long to send its own. */
const LINGER_MS = 1000;

/** Time for one turn of the event loop, in which all that has arrived is handled. */
const TURN_MS = 10;

const NOWHERE: Address = { a0: 0, a1: 0, a2: MAPPED, a3: 0 };

/**
 * TCP on Bun's sockets. A connection's life: `#open` asks the rules and sends the banner; `#data` sends back what
 * came, at once; what the kernel did not take is kept, and until it is sent (`#drain`) nothing more is read: that
 * is the back-pressure. The peer's FIN (`#end`) closes the session once nothing is owed. `#close` is told of every end.
 * Nothing is allocated per message, and a session is found by the socket itself.
 */
export class BunTcp implements TcpDeadlines {
  readonly rules: TcpRules;
  readonly #start: LoopStart;
  readonly #clock: Clock;
  readonly #row: Float64Array;
  readonly #lastActiveMs: Float64Array;
  readonly #onSessionEnd: ((end: SessionEnd) => void) | null;
  readonly #slots: number;
  readonly #descriptorsMax = sessionDescriptorsMax();
  /** Connections by slot; slots that are free again lie on a stack. */
  readonly #connections: (Connection | null)[] = [];
  readonly #freed: number[] = [];
  #listeners: TCPSocketListener<Session | null>[] = [];
  /** The latest local address as text and as words: on most hosts there are very few. */
  #localText = "";
  #local = NOWHERE;
  #draining = false;
  #cutting = false;
  #onEmpty: (() => void) | null = null;

  constructor(start: LoopStart, clock: Clock, onSessionEnd: ((end: SessionEnd) => void) | null) {
    const { settings } = start;
    this.#start = start;
    this.#clock = clock;
    this.#onSessionEnd = onSessionEnd;
    this.#slots = Math.min(settings.maxTcpSessions, this.#descriptorsMax);
    this.rules = new TcpRules(settings, start.tables, start.index, this.#slots, clock);
    this.#row = this.rules.row;
    this.#lastActiveMs = this.rules.lastActiveMs;
  }

  /** Listens; resolves to the addresses. Throws StartError. */
  async listen(port: number): Promise<string[]> {
    const { settings, shared } = this.#start;
    this.#listeners = await listenTcp<Session | null>({
      hosts: settings.hosts,
      port,
      shared,
      handlers: this.#handlers(),
      data: null,
    });
    return this.#listeners.map(describeListener);
  }

  #handlers(): SocketHandler<Session | null> {
    return {
      open: (socket) => this.#open(socket),
      data: this.#data,
      drain: (socket) => this.#drain(socket),
      end: (socket) => this.#end(socket),
      close: (socket, error) => this.#close(socket, error),
      error: (socket, error) => this.#fault(socket, error),
    };
  }

  /** A connection was accepted. */
  #open(socket: Connection): void {
    if (descriptorOf(socket) >= this.#descriptorsMax) {
      this.rules.countRefusal("no_descriptors");
      socket.terminate();
      return;
    }
    // With none free, the cap of sessions is reached, and the rules refuse before they look at the slot.
    const slot = this.#freed.at(-1) ?? this.#connections.length;
    this.#clock.tick();
    // Both ends are read now: once the connection is closed, Bun does not know them any more.
    const local = this.#localEnd(socket.localAddress);
    const peer = parseAddress(socket.remoteAddress) ?? NOWHERE;
    const phase = this.rules.open(slot, peer, socket.remotePort, local, socket.localPort);
    if (phase === REFUSED) {
      socket.terminate();
      return;
    }
    const session = new Session(slot, phase === AWAITING_HEADER ? AWAITING : ECHOING);
    socket.data = session;
    if (slot === this.#connections.length) this.#connections.push(socket);
    else {
      this.#freed.pop();
      this.#connections[slot] = socket;
    }
    if (this.#onSessionEnd !== null) {
      session.ends = {
        client: formatEndpoint(peer, socket.remotePort),
        server: formatEndpoint(local, socket.localPort),
      };
    }
    if (phase === OPEN) this.#greet(socket, session);
  }

  #localEnd(text: string): Address {
    if (text !== this.#localText) {
      this.#local = parseAddress(text) ?? NOWHERE;
      this.#localText = text;
    }
    return this.#local;
  }

  /** Sends the banner, then what came with a PROXY header. */
  #greet(socket: Connection, session: Session): void {
    const { bannerLength, pending, banner } = this.rules;
    session.state = ECHOING;
    // The banner's bytes are written anew for the next session: what is not sent at once is copied.
    if (bannerLength > 0) this.#send(socket, session, banner.bytes.subarray(0, bannerLength), true);
    if (pending.length > 0) this.#send(socket, session, pending, false);
  }

  /** The hot path: bytes came. */
  readonly #data = (socket: Connection, chunk: Uint8Array): void => {
    const session = socket.data;
    if (session === null) return;
    const row = this.#row;
    if (session.state === ECHOING) {
      row[C.tcpReceivedBytes]! += chunk.length;
      this.#lastActiveMs[session.slot] = this.#clock.nowMs;
      const sent = socket.write(chunk);
      if (sent === chunk.length) row[C.tcpSentBytes]! += sent;
      else this.#unsent(socket, session, chunk, sent, false);
    } else {
      this.#other(socket, session, chunk);
    }
  };

  /** Bytes came, but not to be echoed at once. */
  #other(socket: Connection, session: Session, chunk: Uint8Array): void {
    if (session.state === AWAITING) {
      this.#proceed(socket, session, this.rules.header(session.slot, chunk));
    } else if (session.state === BLOCKED) {
      // After a reset Bun delivers, though the socket is paused, what the kernel still had; a write then fails,
      // and there is nobody to owe it to.
      this.#row[C.tcpReceivedBytes]! += chunk.length;
      this.#flush(socket, session);
      if (!session.dead) this.#send(socket, session, chunk, false);
    }
  }

  #send(socket: Connection, session: Session, bytes: Uint8Array, copy: boolean): void {
    if (session.state !== ECHOING) {
      this.#enqueue(socket, session, copy ? bytes.slice() : bytes);
      return;
    }
    const sent = socket.write(bytes);
    if (sent === bytes.length) this.#row[C.tcpSentBytes]! += sent;
    else this.#unsent(socket, session, bytes, sent, copy);
  }

  /** The kernel took `sent` of the bytes, or -1: the connection is gone, and `#close` is told by itself. */
  #unsent(socket: Connection, session: Session, bytes: Uint8Array, sent: number, copy: boolean): void {
    if (sent < 0) {
      session.dead = true;
      return;
    }
    this.#row[C.tcpSentBytes]! += sent;
    const rest = bytes.subarray(sent);
    // A view keeps the whole of its buffer: where most of that is sent, a copy is cheaper to keep.
    this.#enqueue(socket, session, copy || rest.length < bytes.length / 2 ? rest.slice() : rest);
  }

  /** Keeps what is owed, and reads nothing more until it is sent. */
  #enqueue(socket: Connection, session: Session, rest: Uint8Array): void {
    session.owe(rest);
    this.#row[C.tcpQueuedBytes]! += rest.length;
    if (session.queued.length > this.#start.settings.maxQueuedBytes) {
      this.#abort(socket, session, "queued_bytes");
    } else if (session.state !== BLOCKED) {
      session.state = BLOCKED;
      socket.pause();
    }
  }

  /** The kernel may take more. Bun also says so after pause, resume and half-close: then there is nothing to do. */
  #drain(socket: Connection): void {
    const session = socket.data;
    if (session === null || session.state !== BLOCKED) return;
    this.#flush(socket, session);
    if (session.queued.length > 0 || session.dead) return;
    if (session.fin) this.#finish(socket, session);
    else if (this.#cutting) this.#linger(socket, session);
    else {
      session.state = ECHOING;
      socket.resume();
    }
  }

  #flush(socket: Connection, session: Session): void {
    const sent = socket.write(session.queued);
    if (sent < 0) {
      session.dead = true;
      return;
    }
    if (sent === 0) return;
    session.queued = session.queued.subarray(sent);
    this.#row[C.tcpSentBytes]! += sent;
    this.#row[C.tcpQueuedBytes]! -= sent;
    this.#lastActiveMs[session.slot] = this.#clock.nowMs;
  }

  /** The peer sent its FIN: it will send nothing more, but still reads what it is owed. */
  #end(socket: Connection): void {
    const session = socket.data;
    if (session === null) return;
    session.fin = true;
    if (session.state === AWAITING) this.headerOver(session.slot, "proxy_missing");
    if (session.queued.length === 0 && !session.closing) this.#finish(socket, session);
  }

  /** Nothing is owed and nothing will come: closes. Without this a half-closed connection would stay for ever. */
  #finish(socket: Connection, session: Session): void {
    session.closing = true;
    socket.end();
  }

  idle(slot: number): void {
    const socket = this.#connections[slot]!;
    const session = socket.data!;
    if (session.queued.length > 0) this.#abort(socket, session, "idle_timeout");
    else {
      session.reason = "idle_timeout";
      this.#finish(socket, session);
    }
  }

  headerTimeout(slot: number): void {
    this.headerOver(slot, "proxy_timeout");
  }

  headerOver(slot: number, reason: "proxy_missing" | "proxy_timeout"): void {
    const socket = this.#connections[slot]!;
    this.#proceed(socket, socket.data!, this.rules.headerEnd(slot, reason));
  }

  #proceed(socket: Connection, session: Session, phase: Phase): void {
    if (phase === REFUSED) this.#abort(socket, session, "refused");
    else if (phase === OPEN) this.#greet(socket, session);
  }

  /** Closes by a reset. */
  #abort(socket: Connection, session: Session, reason: TcpClose): void {
    session.reason ??= reason;
    session.closing = true;
    socket.terminate();
  }

  /** The one end of every session. */
  #close(socket: Connection, error: Error | undefined): void {
    const session = socket.data;
    if (session === null) return; // refused in `#open`
    socket.data = null;
    const reason: TcpClose =
      session.reason ??
      (error !== undefined || session.dead ? "reset" : this.#draining ? "drained" : "client");
    this.#clock.tick();
    this.#row[C.tcpQueuedBytes]! -= session.queued.length;
    if (session.ends !== null) this.#report(session, session.ends, reason);
    this.rules.close(session.slot, reason);
    this.#connections[session.slot] = null;
    this.#freed.push(session.slot);
    if (this.rules.active === 0) this.#onEmpty?.();
  }

  #report(session: Session, ends: { client: string; server: string }, reason: TcpClose): void {
    this.#onSessionEnd!({ protocol: "tcp", ...ends, reason, seconds: this.rules.age(session.slot) });
  }

  /** A handler threw: a bug. Its session cannot be trusted any more; the process must tell of it. */
  #fault(socket: Connection, error: Error): void {
    socket.terminate();
    queueMicrotask(() => {
      throw error;
    });
  }

  /** Serves those that the kernel has already let in, which takes a turn of the loop, then accepts no more. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    setTimeout(() => this.#stopListening(), TURN_MS);
  }

  #stopListening(): void {
    for (const listener of this.#listeners) listener.stop(false);
    this.#listeners = [];
  }

  /** Ends every session: what has come until now is echoed, what is owed is flushed, then FIN. */
  cut(): void {
    if (this.#cutting) return;
    this.#cutting = true;
    setTimeout(() => this.#each((socket, session) => this.#cutOne(socket, session)), TURN_MS);
    setTimeout(
      () => this.#each((socket, session) => this.#abort(socket, session, "cut")),
      TURN_MS + LINGER_MS,
    );
  }

  #cutOne(socket: Connection, session: Session): void {
    session.reason ??= "cut";
    if (session.state === AWAITING) this.#abort(socket, session, "cut");
    else if (session.state === ECHOING) this.#linger(socket, session);
  }

  /** Sends FIN. What still comes is thrown away, until the peer's own FIN or the end of its time. */
  #linger(socket: Connection, session: Session): void {
    const blocked = session.state === BLOCKED;
    session.state = LINGERING;
    socket.shutdown();
    if (blocked) socket.resume();
  }

  /** Closes everything. Resolves when no connection is open. */
  async stop(): Promise<void> {
    this.#stopListening();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    this.#each((socket, session) => this.#abort(socket, session, "cut"));
    if (this.rules.active > 0) await promise;
  }

  #each(act: (socket: Connection, session: Session) => void): void {
    for (const socket of this.#connections) {
      const session = socket?.data;
      if (socket !== null && session !== null && session !== undefined && !session.closing)
        act(socket, session);
    }
  }
}
