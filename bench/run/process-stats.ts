import { readdirSync, readFileSync } from "node:fs";

/** What a process and its descendants use, from /proc (Linux). A process that is gone counts nothing. */

/**
 * CPU time of a process and its descendants, user and system. In nanoseconds at the source, so short runs can be told
 * apart. A descendant that has ended keeps what it had used when it was last looked at.
 */
export class CpuMeter {
  readonly #pid: number;
  readonly #nanos = new Map<number, number>();

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** CPU seconds so far. */
  seconds(): number {
    for (const process of family(this.#pid)) {
      let nanos = 0;
      for (const thread of list(`/proc/${process}/task`)) {
        nanos += Number(read(`/proc/${process}/task/${thread}/schedstat`).split(" ")[0]);
      }
      if (nanos > 0) this.#nanos.set(process, nanos);
    }
    let sum = 0;
    for (const nanos of this.#nanos.values()) sum += nanos;
    return sum / 1e9;
  }
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  let kilobytes = 0;
  for (const process of family(pid)) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${process}/status`))?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

/** Anonymous resident memory in bytes: what the process keeps, without the pages of its program file. */
export function anonymousBytes(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** The process and its descendants: servers that fork are counted whole. */
function family(pid: number): number[] {
  const all = [pid];
  for (const member of all) {
    for (const thread of list(`/proc/${member}/task`)) {
      const children = read(`/proc/${member}/task/${thread}/children`).trim();
      if (children !== "") all.push(...children.split(" ").map(Number));
    }
  }
  return all;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
