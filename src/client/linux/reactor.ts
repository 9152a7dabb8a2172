import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../../sys/epoll.ts";
import { EPOLL_CTL_MOD } from "../../sys/libc.ts";
import { nextDeadlineMs } from "../deadlines.ts";
import { Failure } from "../failure.ts";
import { Stamping } from "./stamping.ts";

/**
 * The longest that the thread is blocked at once. Messages from other threads, and whatever else only Bun's own loop
 * sees, wait for so long when no socket is ready and no deadline is near.
 */
const BLOCK_MS_MAX = 50;

/** What is told of a descriptor that is waited for. */
export interface Watcher {
  /** It is ready, or was: an event may be stale, so a system call decides. @param events `EPOLL...` */
  ready(events: number): void;
  /** The reactor is at its end, and waits no more: close it. */
  lost(failure: Failure): void;
}

/**
 * The loop of a thread whose sockets are made by system calls: Bun's own cannot watch descriptors that it did not make.
 * It waits in epoll_wait(2), which blocks the thread, and after each wait lets the JavaScript event loop have one turn
 * (`setImmediate`), so that promises, timers and messages go on. It never waits beyond the earliest booked deadline
 * (`deadlines.ts`); waits without an event grow from 1 ms to `BLOCK_MS_MAX`, so that what Bun's loop sees is soon seen
 * while there is something going on. Without a descriptor to wait for it does not run at all.
 */
export class Reactor {
  readonly #epoll = new EpollSet();
  readonly #stamping = new Stamping();
  readonly #watchers = new Map<number, Watcher>();
  #blockMs = 1;
  #isRunning = false;

  /** Waits for `events` of a descriptor; false where the kernel has no room for one more. */
  add(fd: number, events: number, watcher: Watcher): boolean {
    if (!this.#epoll.add(fd, events)) return false;
    this.#watchers.set(fd, watcher);
    this.#blockMs = 1;
    if (!this.#isRunning) setImmediate(this.#turn);
    this.#isRunning = true;
    return true;
  }

  /** Waits for other events of a descriptor, from now on. */
  change(fd: number, events: number): void {
    this.#epoll.set(EPOLL_CTL_MOD, fd, events);
  }

  /** Waits for nothing of it, not even for errors, until it is added again. */
  mute(fd: number): void {
    this.#epoll.remove(fd);
  }

  /** Waits for it no more: to be called before it is closed. */
  remove(fd: number): void {
    if (this.#watchers.delete(fd)) this.#epoll.remove(fd);
  }

  /** Ends all that is waited for, and the set itself. */
  close(failure: Failure): void {
    for (const [fd, watcher] of [...this.#watchers]) {
      this.remove(fd);
      watcher.lost(failure);
    }
    this.#stamping.close();
    this.#epoll.close();
  }

  readonly #turn = (): void => {
    if (this.#watchers.size === 0) {
      this.#isRunning = false;
      return;
    }
    setImmediate(this.#turn); // first: a handler that throws is a bug, and must not stop the others' events
    const count = this.#wait();
    const { words } = this.#epoll;
    for (let at = 0, word = 0; at < count; at++, word += EVENT_STRIDE_WORDS) {
      this.#watchers.get(words[word + EVENT_FD_WORD]!)?.ready(words[word]!);
    }
  };

  #wait(): number {
    try {
      const count = this.#epoll.wait(waitMs(nextDeadlineMs() - performance.now(), this.#blockMs));
      this.#blockMs = count > 0 ? 1 : Math.min(2 * this.#blockMs, BLOCK_MS_MAX);
      return count;
    } catch (error) {
      closeReactor(new Failure("fault", 0, error instanceof Error ? error.message : String(error)));
      return 0;
    }
  }
}

/**
 * How long the thread may be blocked, in whole ms: to the deadline, rounded up, or as long as it is allowed.
 * @param leftMs to the next deadline; below 0 where it has passed, Infinity where there is none
 */
export function waitMs(leftMs: number, allowedMs: number): number {
  return Math.max(0, Math.min(Math.ceil(leftMs), allowedMs));
}

/** Why a socket that was opened is not used: `Reactor.add` was refused (epoll_ctl(2), ENOSPC, ENOMEM). */
export function noRoomToWait(): Failure {
  return new Failure("no_descriptors_here", 0, "epoll has no room for one more descriptor");
}

let own: Reactor | null = null;

/** The reactor of this thread, or why there can be none: no descriptor, or no memory, is left. */
export function reactor(): Reactor | Failure {
  try {
    own ??= new Reactor();
    return own;
  } catch (error) {
    return new Failure("no_descriptors_here", 0, error instanceof Error ? error.message : String(error));
  }
}

/** Closes all that the reactor of this thread waits for, and gives back its descriptor. A later socket makes a new one. */
export function closeReactor(failure = new Failure("ended")): void {
  const ending = own;
  own = null;
  ending?.close(failure);
}
