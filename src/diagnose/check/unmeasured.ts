import type { CheckResult, Note } from "../result.ts";

/** What could not be found out, and why: said, so that nobody takes it for well. */

/** Why, where sockets are Bun's own. */
export const NEEDS_LINUX = "needs Linux";

/** `hops back: not measured (needs Linux)` */
export function notMeasured(what: string, why: string): Note {
  return { code: "not_measured", says: `${what}: not measured (${why})` };
}

/** Somebody had enough before all was asked. */
export const REST_NOT_MEASURED = notMeasured("the rest", "interrupted");

/**
 * All that a result leaves open, as the report has it under that label: `hops back (needs Linux)`. First what notes say,
 * then what no note gives the reason for. Of a result that was not answered the latter is not listed: its problem is the
 * reason for all of it.
 * @param mtuAsked whether sizes were to be found out; then who could not says why
 */
export function unmeasured(result: CheckResult, mtuAsked: boolean): string[] {
  const noted = result.notes
    .filter(({ code }) => code === "not_measured")
    .map(({ says }) => says.replace(": not measured (", " ("));
  return result.flowsAnswered === 0 ? noted : [...noted, ...unnoted(result, mtuAsked)];
}

function unnoted({ protocol, servers, hops, mtu }: CheckResult, mtuAsked: boolean): string[] {
  return [
    servers === null ? "who answered and whom it saw (no banner came)" : null,
    protocol === "tcp" && hops === null ? "hops (a TCP socket does not tell)" : null,
    protocol === "udp" && mtu === null && !mtuAsked ? "sizes (--mtu was not asked for)" : null,
  ].filter((text) => text !== null);
}
