import type { Address } from "../../net/address.ts";
import type { TcpRules } from "../../rules/tcp.ts";
import type { TcpClose } from "../../state/counters.ts";
import type { EpollSet } from "../../sys/epoll.ts";
import { EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, type Libc, loadLibc, SHUT_WR } from "../../sys/libc.ts";
import { abortiveClose } from "../../sys/socket.ts";
import { TcpProgress } from "../progress.ts";
import { type SessionEvent, SessionLog } from "../session-log.ts";
import { BLOCKED, ECHOING, type HEADER, LINGERING, NONE } from "./kinds.ts";
import type { SendQueues } from "./send-queues.ts";

/** What is told of sessions. */
export interface LinuxTcpEvents {
  /** Null to save the work. */
  readonly onSession: ((event: SessionEvent) => void) | null;
  /** A bug showed in a session, which was reset for it. */
  readonly onFault: (fault: unknown) => void;
}

/** The TCP sessions of a loop by descriptor: what each one is, and how it ends. */
export class LinuxSessions {
  readonly progress: TcpProgress;
  readonly #libc: Libc = loadLibc();
  readonly #rules: TcpRules;
  readonly #epoll: EpollSet;
  readonly #kind: Uint8Array;
  readonly #queues: SendQueues;
  readonly #events: LinuxTcpEvents;
  /** Null unless sessions are logged. */
  readonly log: SessionLog | null;

  constructor(
    rules: TcpRules,
    epoll: EpollSet,
    kind: Uint8Array,
    queues: SendQueues,
    events: LinuxTcpEvents,
  ) {
    this.progress = new TcpProgress(kind.length);
    this.#rules = rules;
    this.#epoll = epoll;
    this.#kind = kind;
    this.#queues = queues;
    this.#events = events;
    this.log = events.onSession === null ? null : new SessionLog(events.onSession, rules.row);
  }

  /** An admitted connection becomes a session. False where it cannot be watched: it was reset, and counted as refused. */
  add(
    fd: number,
    kind: number,
    peer: Address & { port: number },
    local: Address & { port: number },
  ): boolean {
    this.#kind[fd] = kind;
    this.log?.begin(fd, { address: peer, port: peer.port }, { address: local, port: local.port });
    if (this.#epoll.add(fd, EPOLLIN)) return true;
    this.#rules.countRefusal("no_epoll_watch");
    this.abort(fd, "refused");
    return false;
  }

  /** The header that the rules have just read ends the wait for one. */
  headerRead(fd: number): void {
    this.#kind[fd] = ECHOING;
  }

  kind(fd: number): number {
    return this.#kind[fd]!;
  }

  /** Nothing is read until what is owed is sent. */
  block(fd: number): void {
    if (this.#kind[fd] === BLOCKED) return;
    this.#kind[fd] = BLOCKED;
    this.#epoll.set(EPOLL_CTL_MOD, fd, EPOLLOUT);
  }

  /** What was owed is sent. */
  unblock(fd: number, kind: typeof ECHOING | typeof HEADER): void {
    this.#kind[fd] = kind;
    this.#epoll.set(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  /** Sends FIN: what comes from here on is thrown away. */
  finish(fd: number): void {
    this.#kind[fd] = LINGERING;
    this.#libc.shutdown(fd, SHUT_WR);
  }

  /** Both ends have sent their FIN, which would show in every turn (EPOLLHUP), whatever is waited for. */
  deafen(fd: number): void {
    this.#epoll.remove(fd);
  }

  /** Whether bytes of the peer's are still to be sent back: what was not sent, or part of what may be a header. */
  owes(fd: number): boolean {
    return this.#queues.owes(fd) || this.#rules.heldBytes(fd) > 0;
  }

  /** Acts on each session. */
  each(act: (fd: number, kind: number) => void): void {
    for (let fd = 0; fd < this.#kind.length && this.#rules.active > 0; fd++) {
      const kind = this.#kind[fd]!;
      if (kind >= ECHOING && kind <= LINGERING) act(fd, kind);
    }
  }

  /** A FIN where nothing is owed, else a reset: the peer must not take what it has for the whole. */
  end(fd: number, reason: TcpClose, reasonIfOwed: TcpClose): void {
    if (this.owes(fd)) this.abort(fd, reasonIfOwed);
    else this.close(fd, reason);
  }

  /** Closes by a FIN, or by a reset where the peer's bytes were not read. The kernel goes on sending what it has. */
  close(fd: number, reason: TcpClose): void {
    this.#forget(fd, reason);
    this.#libc.close(fd);
  }

  /** Closes by a reset. */
  abort(fd: number, reason: TcpClose): void {
    this.#forget(fd, reason);
    abortiveClose(fd);
  }

  /**
   * A handler threw, which is a bug: what is known of this session is wrong, and nobody else's session is.
   * @throws the fault where there is no session: then it is the tables
   */
  fault(fd: number, fault: unknown): void {
    if (this.#kind[fd] === NONE) throw fault;
    this.abort(fd, "fault");
    this.#events.onFault(fault);
  }

  /** The descriptor leaves the epoll set by being closed. */
  #forget(fd: number, reason: TcpClose): void {
    this.#kind[fd] = NONE;
    this.#queues.drop(fd);
    this.progress.forget(fd);
    this.log?.end(fd, reason, this.#rules.age(fd));
    this.#rules.close(fd, reason);
  }
}
