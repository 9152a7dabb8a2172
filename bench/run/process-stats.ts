import { readdirSync, readFileSync } from "node:fs";

/** What a process and its descendants use, from /proc (Linux). A process that is gone counts nothing. */

/** Seconds of CPU, and seconds in which a thread could have run and had no core. */
export interface CoreTime {
  readonly cpu: number;
  readonly wait: number;
  /** How often it was seen outside the kernel and inside. The kernel looks a few hundred times a second at what runs. */
  readonly user: number;
  readonly system: number;
}

/**
 * CPU time of a process and its descendants, user and system. In nanoseconds at the source, so short runs can be told
 * apart. A descendant that has ended keeps what it had used when it was last looked at.
 */
export class CpuMeter {
  readonly #pid: number;
  readonly #known = new Map<number, CoreTime>();

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** So far. */
  read(): CoreTime {
    for (const process of family(this.#pid)) {
      const threads = list(`/proc/${process}/task`).map((thread) =>
        read(`/proc/${process}/task/${thread}/schedstat`).split(" ").map(Number),
      );
      const sum = (column: number): number =>
        threads.reduce((total, fields) => total + (fields[column] ?? 0), 0) / 1e9;
      if (sum(0) > 0) this.#known.set(process, { cpu: sum(0), wait: sum(1), ...ticks(process) });
    }
    const all = [...this.#known.values()];
    const total = (part: keyof CoreTime): number => all.reduce((sum, time) => sum + time[part], 0);
    return { cpu: total("cpu"), wait: total("wait"), user: total("user"), system: total("system") };
  }
}

/** utime and stime of a process (proc(5)), in whatever unit: their ratio is what is wanted. */
function ticks(pid: number): Pick<CoreTime, "user" | "system"> {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" "); // from the third on: a name may hold blanks
  return { user: Number(fields[11] ?? 0), system: Number(fields[12] ?? 0) };
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
