import type { Clock } from "../../state/clock.ts";
import type { TcpClose } from "../../state/counters.ts";
import { takeError } from "../../sys/socket.ts";
import { FLUSH_MS, LINGER_MS } from "../cut.ts";
import { AWAITING_HEADER, BLOCKED, ECHOING, LINGERING } from "./kinds.ts";
import type { LinuxSessions } from "./sessions.ts";

/** Receives up to `limit` bytes of a session and sends them back; how many came. */
type Echo = (fd: number, limit: number) => number;

/** The end of sessions that have not finished when the server's drain is over (see `cut.ts`). */
export class LinuxEndings {
  readonly #sessions: LinuxSessions;
  readonly #echo: Echo;
  readonly #clock: Clock;
  /** Time of the cut, 0 before it. From then on no descriptor becomes a session. */
  #cutMs = 0;
  /** Number of bytes that had come from a slow reader by the cut, and are still to be read and sent back. */
  readonly #unread = new Map<number, number>();
  /** Cut sessions whose peer has sent its FIN, and may not have acknowledged all yet. */
  readonly #peerFins = new Set<number>();

  constructor(sessions: LinuxSessions, echo: Echo, clock: Clock) {
    this.#sessions = sessions;
    this.#echo = echo;
    this.#clock = clock;
  }

  get cutting(): boolean {
    return this.#cutMs > 0;
  }

  cut(): void {
    this.#cutMs = this.#clock.nowMs;
    this.#sessions.each((fd, kind) => {
      const unread = this.#sessions.progress.unread(fd);
      if (kind === BLOCKED) this.#unread.set(fd, unread);
      else if (kind === ECHOING) this.#lastCall(fd, unread);
      else if (kind === AWAITING_HEADER) this.#cutHeader(fd, unread);
    });
  }

  #cutHeader(fd: number, unread: number): void {
    if (unread > 0 || this.#sessions.hasUnsent(fd)) this.#sessions.abort(fd, "cut_short");
    else this.#sessions.linger(fd);
  }

  /** The queue of a cut session is empty. */
  flushed(fd: number): void {
    this.#lastCall(fd, this.#unread.get(fd) ?? 0);
  }

  /** Echoes the bytes that had come by the cut, and then sends FIN. Where the peer is too slow, the rest waits. */
  #lastCall(fd: number, unread: number): void {
    const sessions = this.#sessions;
    let left = unread;
    while (left > 0 && sessions.kind(fd) === ECHOING) {
      const received = this.#echo(fd, left);
      if (received <= 0) break;
      left -= received;
    }
    if (sessions.kind(fd) === ECHOING) sessions.linger(fd);
    else if (sessions.kind(fd) === BLOCKED) this.#unread.set(fd, left);
    else if (sessions.kind(fd) === AWAITING_HEADER) this.#cutHeader(fd, left);
  }

  /** The peer of a cut session has sent its FIN. The session ends once the peer has acknowledged all. */
  peerFin(fd: number): void {
    this.#sessions.unwatch(fd);
    this.#peerFins.add(fd);
    this.#closeIfWhole(fd);
  }

  /** Closes cut sessions whose peer has acknowledged all, and at the end all others. Called once per tick. */
  tick(): void {
    if (this.#cutMs === 0) return;
    const elapsedMs = this.#clock.nowMs - this.#cutMs;
    if (elapsedMs >= FLUSH_MS) this.endAll("cut", "cut_short");
    else if (elapsedMs >= LINGER_MS) this.#sessions.each((fd) => this.#closeIfWhole(fd));
    else for (const fd of this.#peerFins) this.#closeIfWhole(fd);
  }

  /** Of one whose peer's FIN has come the loop hears no more: a reset behind it is asked for here. */
  #closeIfWhole(fd: number): void {
    if (this.#sessions.kind(fd) !== LINGERING) return;
    const isWhole = this.#sessions.progress.unacknowledged(fd) === 0;
    if (isWhole || takeError(fd) !== 0) this.#sessions.close(fd, "cut");
  }

  /** Ends every session. The kernel still delivers what it has taken, and the FIN; a session with unsent bytes is reset. */
  endAll(reason: TcpClose, reasonIfUnsent: TcpClose): void {
    this.#sessions.endEach(reason, reasonIfUnsent);
  }
}
