import type { CheckResult } from "../result.ts";

/**
 * What a result leaves open that no note of its own gives the reason for: said, so that nobody takes it for well.
 * Of a result that was not answered nothing is listed: its problem is the reason for all of it.
 * @param mtuAsked whether sizes were to be found out; then who could not says why
 */
export function unmeasured(result: CheckResult, mtuAsked: boolean): string[] {
  if (result.flowsAnswered === 0) return [];
  const { protocol, servers, hops, mtu } = result;
  return [
    servers === null ? "who answered and whom it saw (no banner came)" : null,
    protocol === "tcp" && hops === null ? "hops (a TCP socket does not tell)" : null,
    protocol === "udp" && mtu === null && !mtuAsked ? "sizes (--mtu was not asked for)" : null,
  ].filter((text) => text !== null);
}
