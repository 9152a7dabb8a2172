import { plural, timeText } from "../words.ts";
import type { ProbeFault, ProbeName, ProbeSeen } from "./seen.ts";

/** Why a pair is not up, in words. */

const PROBES: Readonly<Record<ProbeName, string>> = {
  "tcp-new": "a new TCP session",
  "tcp-held": "the held TCP session",
  udp: "UDP",
};

/** A failure that says nothing of the path: this machine had nothing to ask with. */
export function isOwnFault(fault: ProbeFault): boolean {
  return fault === "no_ports_here" || fault === "no_descriptors_here";
}

/**
 * What the last of some probes in a row has seen: `UDP: nothing came within 1.00 s, 5 probes in a row (udp 10.0.0.1:4000 >
 * 10.0.0.2:5678)`.
 * @param inARow probes of this kind without an answer, this one among them
 */
export function whyDown(seen: ProbeSeen, inARow: number, timeoutMs: number): string {
  const { probe, fault, flow } = seen;
  const what = fault === null ? "answered" : faultText(fault, seen, timeoutMs);
  const ends = flow === null ? "nothing left this machine" : flow;
  return `${PROBES[probe]}: ${what}, ${plural(inARow, "probe")} in a row (${ends})`;
}

/** Why nothing was measured, where this machine is the reason. */
export function whyUnmeasured(fault: ProbeFault): string {
  return fault === "no_ports_here"
    ? "not measured: this machine has no source port left"
    : "not measured: this process has no descriptor left";
}

/** Why nothing is known, of what was measured before. */
export function whyStale(sinceMs: number): string {
  return `not measured for ${timeText(sinceMs)}: this prober did not run`;
}

export const WHY_NOT_YET = "not measured yet";

function faultText(fault: ProbeFault, { probe, server }: ProbeSeen, timeoutMs: number): string {
  switch (fault) {
    case "timeout":
      return `nothing came within ${timeText(timeoutMs)}`;
    case "refused":
      return "refused, nobody listens there";
    case "unreachable":
      return "unreachable, somebody says that there is no way there";
    case "silent":
      return `${silenceText(probe, server)} within ${timeText(timeoutMs)}`;
    case "reset":
      return "the session was reset";
    case "closed":
      return "the session was closed";
    case "corrupted":
      return "other bytes came back than were sent";
    case "other_server":
      return `${server ?? "another server"} answered in its place`;
    case "no_banner":
      return "an echo without a banner, so nobody said who it is (with --no-banner any echo counts)";
    case "no_ports_here":
    case "no_descriptors_here":
      return whyUnmeasured(fault);
  }
}

/** A held session may have been well for hours; of a new one it is known whether a banner came. */
function silenceText(probe: ProbeName, server: string | null): string {
  if (probe === "tcp-held") return "no echo";
  return server === null ? "connected, then neither banner nor echo" : "connected, then a banner and no echo";
}
