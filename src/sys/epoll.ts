import type { Pointer } from "bun:ffi";
import {
  EINTR,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_EVENT,
  errnoText,
  type Libc,
  loadLibc,
} from "./libc.ts";
import { nativeMemory } from "./memory.ts";

/** Events fetched by one epoll_wait(2). */
export const EVENTS_PER_TURN = 1024;

/** The epoll set of one loop: what each descriptor is waited for, and the events that came. */
export class EpollSet {
  readonly #libc: Libc = loadLibc();
  readonly #epoll: number;
  readonly #event = nativeMemory(EPOLL_EVENT.size);
  readonly #events = nativeMemory(EPOLL_EVENT.size * EVENTS_PER_TURN);
  readonly #eventAddress = this.#event.address as Pointer;
  readonly #eventsAddress = this.#events.address as Pointer;
  /** The events as words: one event each EVENT_STRIDE_WORDS, its descriptor EVENT_FD_WORD words into it. */
  readonly words = this.#events.words;

  constructor() {
    this.#epoll = this.#libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw new Error(`epoll_create1 failed: ${errnoText(this.#libc.errno())}`);
  }

  /** Adds (EPOLL_CTL_ADD) or changes (EPOLL_CTL_MOD) what `fd` is waited for. Level-triggered. */
  set(operation: number, fd: number, events: number): void {
    this.#event.words[0] = events;
    this.#event.words[EPOLL_EVENT.data / 4] = fd;
    if (this.#libc.epoll_ctl(this.#epoll, operation, fd, this.#eventAddress) < 0) {
      throw new Error(`epoll_ctl of descriptor ${fd} failed: ${errnoText(this.#libc.errno())}`);
    }
  }

  /** Adds a newcomer; false where the kernel has no room for one more (ENOSPC, max_user_watches; ENOMEM). */
  add(fd: number, events: number): boolean {
    this.#event.words[0] = events;
    this.#event.words[EPOLL_EVENT.data / 4] = fd;
    return this.#libc.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#eventAddress) === 0;
  }

  /** Stops waiting for `fd`; a closed descriptor leaves by itself. */
  remove(fd: number): void {
    this.#libc.epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fd, this.#eventAddress);
  }

  /**
   * Waits up to `timeoutMs` for events; returns how many are in `words`. A signal counts as none.
   * @throws when the set cannot be waited on any more: a loop that went on would serve nobody and spin
   */
  wait(timeoutMs: number): number {
    const count = this.#libc.epoll_wait(this.#epoll, this.#eventsAddress, EVENTS_PER_TURN, timeoutMs);
    return count >= 0 ? count : this.#noneFor(this.#libc.errno());
  }

  #noneFor(errno: number): number {
    if (errno !== EINTR) throw new Error(`epoll_wait failed: ${errnoText(errno)}`);
    return 0;
  }

  close(): void {
    this.#libc.close(this.#epoll);
  }
}

/** Words from one event to the next, and from an event to its descriptor. */
export const EVENT_STRIDE_WORDS = EPOLL_EVENT.size / 4;
export const EVENT_FD_WORD = EPOLL_EVENT.data / 4;
