import type { Address } from "../../net/address.ts";
import type { TcpRules } from "../../rules/tcp.ts";
import { FREE } from "../../rules/tcp-phase.ts";
import type { TcpClose } from "../../state/counters.ts";
import type { EpollSet } from "../../sys/epoll.ts";
import { EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, type Libc, loadLibc, SHUT_WR } from "../../sys/libc.ts";
import { abortiveClose } from "../../sys/socket.ts";
import type { TcpEvents } from "../loop.ts";
import { TcpProgress } from "../progress.ts";
import { SessionLog } from "../session-log.ts";
import { type AWAITING_HEADER, BLOCKED, ECHOING, isSession, LINGERING, NONE } from "./kinds.ts";
import type { SendQueues } from "./send-queues.ts";

/** The TCP sessions of a loop by descriptor: what each one is, and how it ends. */
export class LinuxSessions {
  readonly progress: TcpProgress;
  readonly #libc: Libc = loadLibc();
  readonly #rules: TcpRules;
  readonly #epoll: EpollSet;
  readonly #kind: Uint8Array;
  readonly #queues: SendQueues;
  readonly #events: TcpEvents;
  /** Null unless sessions are logged. */
  readonly log: SessionLog | null;

  constructor(rules: TcpRules, epoll: EpollSet, kind: Uint8Array, queues: SendQueues, events: TcpEvents) {
    this.progress = new TcpProgress(kind.length);
    this.#rules = rules;
    this.#epoll = epoll;
    this.#kind = kind;
    this.#queues = queues;
    this.#events = events;
    this.log = events.onSession === null ? null : new SessionLog(events.onSession, rules.counters);
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

  /** From here on nothing is read until the queue is sent. */
  block(fd: number): void {
    if (this.#kind[fd] === BLOCKED) return;
    this.#kind[fd] = BLOCKED;
    this.#epoll.set(EPOLL_CTL_MOD, fd, EPOLLOUT);
  }

  /** The queue is sent: bytes are read again. */
  unblock(fd: number, kind: typeof ECHOING | typeof AWAITING_HEADER): void {
    this.#kind[fd] = kind;
    this.#epoll.set(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  /** Sends FIN: what comes from here on is thrown away. */
  linger(fd: number): void {
    this.#kind[fd] = LINGERING;
    this.#libc.shutdown(fd, SHUT_WR);
  }

  /** Takes it out of the epoll set: both ends have sent FIN, and EPOLLHUP would wake the loop in every turn. */
  unwatch(fd: number): void {
    this.#epoll.remove(fd);
  }

  /** Whether bytes of the peer are still to be sent back: queued ones, or those of a header that is not complete. */
  hasUnsent(fd: number): boolean {
    return this.#queues.has(fd) || this.#rules.heldBytes(fd) > 0;
  }

  /** Acts on each session. */
  each(act: (fd: number, kind: number) => void): void {
    for (let fd = 0; fd < this.#kind.length && this.#rules.active > 0; fd++) {
      const kind = this.#kind[fd]!;
      if (isSession(kind)) act(fd, kind);
    }
  }

  /**
   * Ends each session by `end`. One whose end throws is told as a fault and closed all the same, and the next one has its
   * turn: this is also how a loop dies whose tables are wrong.
   */
  endEach(reason: TcpClose, reasonIfUnsent: TcpClose): void {
    for (let fd = 0; fd < this.#kind.length; fd++) {
      if (!isSession(this.#kind[fd]!)) continue;
      try {
        this.end(fd, reason, reasonIfUnsent);
      } catch (fault) {
        this.#events.onFault(fault);
      }
    }
  }

  /** Closes by a FIN; where bytes are unsent, by a reset: the peer must not take a part for the whole. */
  end(fd: number, reason: TcpClose, reasonIfUnsent: TcpClose): void {
    if (this.hasUnsent(fd)) this.abort(fd, reasonIfUnsent);
    else this.close(fd, reason);
  }

  /** Closes by a FIN, or by a reset where the peer's bytes were not read. The kernel goes on sending what it has. */
  close(fd: number, reason: TcpClose): void {
    try {
      this.#forget(fd, reason);
    } finally {
      this.#libc.close(fd);
    }
  }

  /** Closes by a reset. */
  abort(fd: number, reason: TcpClose): void {
    try {
      this.#forget(fd, reason);
    } finally {
      abortiveClose(fd);
    }
  }

  /**
   * A handler threw, which is a bug: what is known of this session is wrong, and nobody else's session is. The session is
   * reset.
   * @throws the fault where the rules know no such session: the tables are wrong then, and the loop must end
   */
  fault(fd: number, fault: unknown): void {
    if (this.#rules.phase(fd) === FREE) throw fault;
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
