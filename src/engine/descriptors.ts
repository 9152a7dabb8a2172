import { sessionDescriptorsWithin } from "../state/descriptors.ts";
import { EFD_NONBLOCK_CLOEXEC, hasLibc, loadLibc } from "../sys/libc.ts";
import { openFileLimit } from "../sys/limits.ts";
import type { LoopSettings } from "./loop.ts";

/**
 * Sessions may have descriptors below this: a connection at or above it must be refused while accepting still works.
 * Once accept(2) fails for want of a descriptor, Bun's loop spins on the listener without telling anybody; and a
 * session that had the last one would leave none to a scrape or a probe.
 */
export function sessionDescriptorsMax({ maxAdminConnections }: LoopSettings): number {
  return sessionDescriptorsWithin(openFileLimit(), maxAdminConnections);
}

/** Descriptors that a Worker and its loop need to start: event loops, epoll sets, a reserve. */
const WORKER_DESCRIPTORS = 12;

/** Whether a Worker could be started now: without descriptors, trying would end the process. Yes where nobody can say. */
export function workerCanStart(): boolean {
  if (!hasLibc()) return true;
  const opened = Array.from({ length: WORKER_DESCRIPTORS }, () =>
    loadLibc().eventfd(0, EFD_NONBLOCK_CLOEXEC),
  );
  for (const fd of opened) if (fd >= 0) loadLibc().close(fd);
  return opened.every((fd) => fd >= 0);
}
