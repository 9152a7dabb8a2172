import type { TcpRules } from "../../rules/tcp.ts";
import type { Clock } from "../../state/clock.ts";
import type { TcpClose } from "../../state/counters.ts";
import { FLUSH_MS, LINGER_MS } from "../cut.ts";
import type { TcpProgress } from "../progress.ts";
import { descriptorOf } from "./bind.ts";
import { abort, type Connection, type Connections, close } from "./connections.ts";
import { AWAITING_HEADER, BLOCKED, ECHOING, LAST_BYTES, LINGERING, type Session } from "./session.ts";

/**
 * The end of sessions that have not finished when the server's drain is over (see `cut.ts`), and of all at once. Where
 * there is no libc, nobody knows how much of a slow reader's bytes had come unread: its queue is sent, then FIN.
 */
export class BunEndings {
  readonly #connections: Connections;
  readonly #rules: TcpRules;
  readonly #progress: TcpProgress;
  readonly #clock: Clock;
  /** Time of the cut, 0 before it. */
  #cutMs = 0;

  constructor(connections: Connections, rules: TcpRules, progress: TcpProgress, clock: Clock) {
    this.#connections = connections;
    this.#rules = rules;
    this.#progress = progress;
    this.#clock = clock;
  }

  get cutting(): boolean {
    return this.#cutMs > 0;
  }

  cut(): void {
    this.#cutMs = this.#clock.tick();
    this.#connections.each((socket, session) => {
      session.unread = this.#progress.unread(descriptorOf(socket));
      if (session.state === ECHOING) this.lastCall(socket, session);
      else if (session.state === AWAITING_HEADER) this.#cutHeader(socket, session);
    });
  }

  #cutHeader(socket: Connection, session: Session): void {
    const hasUnsent = session.unread > 0 || this.#rules.heldBytes(session.slot) > 0;
    if (hasUnsent) abort(socket, session, "cut_short");
    else this.#linger(socket, session);
  }

  /** The queue of a cut session is empty. Bytes that had come by the cut are still echoed, then comes the FIN. */
  lastCall(socket: Connection, session: Session): void {
    const paused = session.state === BLOCKED;
    if (session.unread > 0) session.state = LAST_BYTES;
    else this.#linger(socket, session);
    if (paused) socket.resume();
  }

  /** Sends FIN. Bytes that still come are thrown away, until the peer's own FIN. */
  #linger(socket: Connection, session: Session): void {
    session.reason ??= "cut";
    session.state = LINGERING;
    socket.shutdown(); // at the peer's FIN Bun closes it; the kernel goes on with what it has
  }

  #closeIfWhole(socket: Connection, session: Session): void {
    const whole = this.#progress.unacknowledged(descriptorOf(socket)) === 0;
    if (whole && session.state === LINGERING) close(socket, session);
  }

  /** Closes cut sessions whose peer has acknowledged all, and at the end all others. Called once per tick. */
  tick(): void {
    if (this.#cutMs === 0) return;
    const elapsedMs = this.#clock.nowMs - this.#cutMs;
    if (elapsedMs >= FLUSH_MS) this.endAll("cut", "cut_short");
    else if (elapsedMs >= LINGER_MS) {
      this.#connections.each((socket, session) => this.#closeIfWhole(socket, session));
    }
  }

  /** Ends every session. The kernel still delivers what it has taken, and the FIN; a session with unsent bytes is reset. */
  endAll(reason: TcpClose, reasonIfUnsent: TcpClose): void {
    this.#connections.each((socket, session) => {
      if (session.queuedBytes > 0 || this.#rules.heldBytes(session.slot) > 0) {
        abort(socket, session, reasonIfUnsent);
      } else {
        session.reason ??= reason;
        close(socket, session);
      }
    });
  }
}
