import { dlopen, FFIType } from "bun:ffi";
import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";

/**
 * Loaded before the program: on SIGUSR1 the epoll set that was opened last, which is a Linux loop's, becomes something
 * that cannot be waited on.
 */

if (Bun.isMainThread) {
  const { symbols: libc } = dlopen("libc.so.6", {
    dup2: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  });
  process.on("SIGUSR1", () => {
    const sets = readdirSync("/proc/self/fd").filter((fd) => target(fd) === "anon_inode:[eventpoll]");
    const nothing = openSync("/dev/null", "r");
    libc.dup2(nothing, Math.max(...sets.map(Number)));
    closeSync(nothing);
  });
}

function target(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // the one that lists them
  }
}
