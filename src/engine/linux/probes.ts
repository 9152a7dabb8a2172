import type { Pointer } from "bun:ffi";
import type { Clock } from "../../state/clock.ts";
import type { EpollSet } from "../../sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLLIN, isTransient, type Libc, loadLibc, MSG_NOSIGNAL } from "../../sys/libc.ts";
import type { NativeMemory } from "../../sys/memory.ts";
import { abortiveClose } from "../../sys/socket.ts";
import { PROBE_LIFE_MS } from "../loop.ts";
import { NONE, PROBE } from "./kinds.ts";

/** Descriptors above those that sessions may have: they are kept for the likes of the probe. */
export const PROBE_DESCRIPTORS = 4096;

/** The probe sends some forty bytes. */
const READ_BYTES = 1024;

/**
 * Connections of the server's own probe: echoed like a session, but no session. Nothing waits for them, and nothing
 * of them is counted or logged. One is here at a time, or two where the loop has not yet seen the end of the first.
 */
export class LinuxProbes {
  readonly #libc: Libc = loadLibc();
  readonly #clock: Clock;
  readonly #epoll: EpollSet;
  readonly #kind: Uint8Array;
  readonly #bufferAddress: Pointer;
  /** When each began. */
  readonly #begun = new Map<number, number>();

  /** @param buffer memory of the loop that is free between two calls */
  constructor(clock: Clock, epoll: EpollSet, kind: Uint8Array, buffer: NativeMemory) {
    this.#clock = clock;
    this.#epoll = epoll;
    this.#kind = kind;
    this.#bufferAddress = buffer.address as Pointer;
  }

  /** The probe was accepted: it sees what a client sees, the banner and then its echo. */
  begin(fd: number, banner: Pointer, bannerLength: number): void {
    if (fd >= this.#kind.length) {
      abortiveClose(fd);
      return;
    }
    this.#begun.set(fd, this.#clock.nowMs);
    this.#kind[fd] = PROBE;
    try {
      this.#epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    } catch {
      this.#end(fd); // the kernel has no room to wait for it: the probe will tell
      return;
    }
    if (this.#libc.send(fd, banner, bannerLength, MSG_NOSIGNAL) !== bannerLength) this.#end(fd);
  }

  /** Bytes, a FIN or a reset came. One that does not take its few bytes back at once is none. */
  readable(fd: number): void {
    const length = this.#libc.recv(fd, this.#bufferAddress, READ_BYTES, 0);
    if (length > 0) {
      if (this.#libc.send(fd, this.#bufferAddress, length, MSG_NOSIGNAL) !== length) this.#end(fd);
      return;
    }
    const errno = length === 0 ? 0 : this.#libc.errno();
    if (!isTransient(errno)) this.#end(fd);
  }

  /** Ends those that their other end has left here; once per tick. */
  sweep(): void {
    for (const [fd, begunMs] of this.#begun) {
      if (this.#clock.nowMs - begunMs > PROBE_LIFE_MS) this.#end(fd);
    }
  }

  closeAll(): void {
    for (const fd of this.#begun.keys()) this.#end(fd);
  }

  #end(fd: number): void {
    this.#begun.delete(fd);
    this.#kind[fd] = NONE;
    abortiveClose(fd);
  }
}
