import { type Family, parseTarget, refuseOtherFamily, type Target } from "../diagnose/targets.ts";
import { UsageError } from "../errors.ts";
import { oneOf, toggle } from "../options/kinds.ts";
import { option } from "../options/table.ts";

/** What the commands that ask echo servers take alike. */

export const ENGINE_ROW = option({
  flag: "--engine",
  kind: oneOf("engine", "auto", "bun", "linux"),
  default: "auto",
  help: "how sockets are made: bun (its own, which tell less), linux (system calls), auto (linux where it works)",
});

/** The rows of the IP version, in a command's own words. */
export function versionRows(ipv4Help: string, ipv6Help: string) {
  return {
    ipv4: option({ flag: "--ipv4", short: ["-4"], kind: toggle, default: "false", help: ipv4Help }),
    ipv6: option({ flag: "--ipv6", short: ["-6"], kind: toggle, default: "false", help: ipv6Help }),
  };
}

/**
 * The IP version that is asked for; null where neither is.
 * @param without what neither means
 * @throws UsageError where both are
 */
export function versionAsked(
  { ipv4, ipv6 }: { readonly ipv4: boolean; readonly ipv6: boolean },
  without = "both",
): Family | null {
  if (ipv4 && ipv6)
    throw new UsageError(`-4 and -6 together are not allowed; allowed: one of them, or none for ${without}`);
  return ipv4 ? 4 : ipv6 ? 6 : null;
}

/** The targets that a command line names. @throws UsageError for one that is none, or of the other version, or too many */
export function targetsAsked(words: readonly string[], family: Family | null, most: number): Target[] {
  if (words.length > most)
    throw new UsageError(`${words.length} targets are not allowed; allowed: ${most} at most`);
  const targets = words.map(parseTarget);
  refuseOtherFamily(targets, family);
  return targets;
}
