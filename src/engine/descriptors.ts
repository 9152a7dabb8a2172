import type { Pointer } from "bun:ffi";
import { EFD_NONBLOCK_CLOEXEC, loadLibc, nativeMemory, RLIMIT_NOFILE } from "../sys/libc.ts";

/** Descriptors that sessions leave to everything else: admin, log, UDP sockets, the runtime. */
const KEPT_MIN = 8;
const KEPT_MAX = 64;

/**
 * Sessions may have descriptors below this. The kernel always hands out the lowest free one, so a connection at or
 * above it says that nearly all are taken. It must be refused while accepting still works: once accept(2) fails
 * for want of a descriptor, Bun's loop spins on the listener without telling anybody; and a session that had the last
 * one would leave none to a scrape or a probe.
 * Infinity where the limit cannot be asked for.
 */
export function sessionDescriptorsMax(): number {
  try {
    const limit = nativeMemory(16);
    if (loadLibc().getrlimit(RLIMIT_NOFILE, limit.address as Pointer) < 0) return Number.POSITIVE_INFINITY;
    const soft = Number(limit.view.getBigUint64(0, true));
    return soft - Math.min(KEPT_MAX, Math.max(KEPT_MIN, Math.floor(soft / 16)));
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux
  }
}

/** Descriptors that a Worker and its loop need to start: event loops, epoll sets, a reserve. */
const WORKER_DESCRIPTORS = 12;

/** Whether a Worker could be started now: without descriptors, trying would end the process. Linux only. */
export function workerCanStart(): boolean {
  const opened = Array.from({ length: WORKER_DESCRIPTORS }, () =>
    loadLibc().eventfd(0, EFD_NONBLOCK_CLOEXEC),
  );
  for (const fd of opened) if (fd >= 0) loadLibc().close(fd);
  return opened.every((fd) => fd >= 0);
}
