import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/test-deps.sh", import.meta.url));

/** Sees to it that nc, socat and the like are on this machine. @throws with what is missing */
export async function requireTools(): Promise<void> {
  const installing = Bun.spawn([SCRIPT], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [errors, exitCode] = await Promise.all([installing.stderr.text(), installing.exited]);
  if (exitCode !== 0) throw new Error(`scripts/test-deps.sh: ${errors}`);
}
