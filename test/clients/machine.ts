import { readdirSync, readFileSync } from "node:fs";

/** What the tests ask of the machine they run on (Linux). */

/** Clock ticks a second in /proc: 100 on every Linux that is in use. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process has used, all its threads and the kernel's work for it (proc(5), utime and stime). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Open files that this process may have, which Bun has raised to the hard limit. */
export function openFilesMax(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
  return soft === undefined ? 1024 : Number(soft);
}

/** Connections that a listener may have waiting, whatever it asks for. */
export function backlogMax(): number {
  return Number(readFileSync("/proc/sys/net/core/somaxconn", "latin1"));
}

/** Whether every thread of a process has stopped (proc(5)): SIGSTOP is sent at once and obeyed a little later. */
export function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  });
}

/**
 * Bytes that this process has mapped to read and write (proc(5), `maps`): without what the C library sets aside for a
 * thread, 64 MiB that nobody may touch yet, whenever one more is alive than ever before.
 */
export function mappedBytes(): number {
  const maps = readFileSync("/proc/self/maps", "utf8");
  const sizes = [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)].map(
    ([, from, to]) => Number.parseInt(to!, 16) - Number.parseInt(from!, 16),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
