import { readFileSync } from "node:fs";

/** Limits that the machine sets to this process. */

/** Stands for a limit that is none: no table of descriptors is longer. */
const UNLIMITED = 1_048_576;

/**
 * The soft limit of open files, which Bun has raised to the hard one by now; 1024 where nobody says. Off Linux a shell
 * is asked, which inherits it.
 * @param platform as `process.platform` names it
 */
export function openFileLimit(platform = process.platform): number {
  const text =
    platform === "linux"
      ? /^Max open files\s+(\S+)/m.exec(limitsOfLinux())?.[1]
      : outputOf(["sh", "-c", "ulimit -n"]);
  if (text === "unlimited") return UNLIMITED;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 1024;
}

function outputOf(command: string[]): string | undefined {
  try {
    return Bun.spawnSync(command).stdout.toString().trim();
  } catch {
    return undefined; // there is no shell
  }
}

function limitsOfLinux(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return ""; // hidden from this container
  }
}
