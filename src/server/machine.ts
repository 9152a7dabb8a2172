import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** What this machine, or this container, lets the process have. */

/** `::` is of use only where some interface has an IPv6 address, be it `::1`; off Linux it is taken for granted. */
export function defaultHost(): string {
  if (process.platform !== "linux") return "::";
  return readOr("/proc/net/if_inet6", "").trim() === "" ? "0.0.0.0" : "::";
}

/** Cores this process may use: its affinity, and the CPU quota of its control group rounded down, at least 1. */
export function usableCores(): number {
  const cores = availableParallelism();
  const quota = quotaOfV2(readOr("/sys/fs/cgroup/cpu.max", "")) ?? quotaOfV1();
  return Math.max(1, Math.min(cores, Math.floor(quota ?? cores)));
}

/** `cpu.max` of control groups v2: `max 100000`, or `150000 100000` for one and a half cores. */
export function quotaOfV2(text: string): number | null {
  const match = /^(\d+) (\d+)$/.exec(text.trim());
  return match === null ? null : Number(match[1]) / Number(match[2]);
}

function quotaOfV1(): number | null {
  const quota = Number(readOr("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"));
  const period = Number(readOr("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "0"));
  return quota > 0 && period > 0 ? quota / period : null;
}

function readOr(path: string, otherwise: string): string {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : otherwise;
  } catch {
    return otherwise; // hidden from this container
  }
}
