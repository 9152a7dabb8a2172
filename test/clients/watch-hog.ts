import type { Pointer } from "bun:ffi";
import {
  EFD_NONBLOCK_CLOEXEC,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_EVENT,
  loadLibc,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";

/** A program that takes all epoll watches that its user may have, says `full`, and keeps them until it is killed. */

const ENOSPC = 28;
const EVENTFDS = 1000;

const libc = loadLibc();
const event = nativeMemory(EPOLL_EVENT.size).address as Pointer;
const watched = Array.from({ length: EVENTFDS }, () => libc.eventfd(0, EFD_NONBLOCK_CLOEXEC));

function takeAll(): void {
  for (;;) {
    const epoll = libc.epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) throw new Error(`epoll_create1: error ${libc.errno()}`);
    for (const fd of watched) {
      if (libc.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event) === 0) continue;
      const errno = libc.errno();
      if (errno !== ENOSPC) throw new Error(`epoll_ctl: error ${errno}`);
      return;
    }
  }
}

takeAll();
console.log("full");
setInterval(() => {}, 60_000);
