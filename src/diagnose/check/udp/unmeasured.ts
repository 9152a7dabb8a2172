import type { Note } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import { isAnswered, type UdpSeen } from "./seen.ts";

/** What could not be found out, and why. */
export function unmeasuredNotes(seen: UdpSeen): Note[] {
  const says = [needsLinux(seen), withoutBanner(seen), onePort(seen), unread(seen), interrupted(seen)];
  return says.filter((each) => each !== null).map((each) => ({ code: "not_measured", says: each }));
}

function needsLinux({ bySystemCalls }: UdpSeen): string | null {
  if (bySystemCalls) return null;
  return "hops back, who sends ICMP, and the kernel's times of arrival: not measured (needs Linux)";
}

/** Where no flow has a banner nor could have had one, the missing of all that it tells speaks for itself. */
function withoutBanner({ flows, settings: { source } }: UdpSeen): string | null {
  const answered = flows.filter(isAnswered);
  const without = answered.filter(({ banner }) => banner === null).length;
  if (without === 0) return null;
  if (source.port !== undefined) {
    return `who answered: not measured (the session of source port ${source.port} may have had its banner before)`;
  }
  if (without === answered.length) return null;
  return `who answered ${countText(without)} of ${plural(answered.length, "flow")}: not measured (no banner came, from other ports neither)`;
}

function onePort({ settings: { flows, source } }: UdpSeen): string | null {
  if (source.port === undefined || flows === 1) return null;
  return `how flows spread: not measured (what leaves from source port ${source.port} is one flow, not ${countText(flows)})`;
}

function unread({ flows }: UdpSeen): string | null {
  const dropped = flows.reduce((sum, flow) => sum + flow.dropped, 0);
  if (dropped === 0) return null;
  return `what ${plural(dropped, "answer")} held: not measured (they came faster than this program reads)`;
}

function interrupted(seen: UdpSeen): string | null {
  return seen.interrupted ? "the rest: not measured (interrupted)" : null;
}
