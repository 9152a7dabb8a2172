import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/test-deps.sh", import.meta.url));

/**
 * Sees to it that the lab can be built: Linux, root, and other people's programs.
 * @throws with what is missing
 */
export async function requireLab(): Promise<void> {
  if (process.platform !== "linux") throw new Error("test:net needs Linux: network namespaces and netfilter");
  if (process.getuid?.() !== 0) throw new Error("test:net needs root: it makes networks, and faults in them");
  const installing = Bun.spawn([SCRIPT, "net"], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [errors, exitCode] = await Promise.all([installing.stderr.text(), installing.exited]);
  if (exitCode !== 0) throw new Error(`scripts/test-deps.sh net: ${errors}`);
}
