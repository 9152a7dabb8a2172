import type { Note } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import { NEEDS_LINUX, notMeasured, REST_NOT_MEASURED } from "../unmeasured.ts";
import { isAnswered, type UdpSeen } from "./seen.ts";

/** What could not be found out, and why. */
export function unmeasuredNotes(seen: UdpSeen): Note[] {
  const { bySystemCalls, interrupted } = seen;
  return [
    bySystemCalls
      ? null
      : notMeasured("hops back, who sends ICMP, and the kernel's times of arrival", NEEDS_LINUX),
    withoutBanner(seen),
    interrupted ? REST_NOT_MEASURED : null,
  ].filter((note) => note !== null);
}

/** Where no flow has a banner nor could have had one, the missing of all that it tells speaks for itself. */
function withoutBanner({ flows, settings: { source } }: UdpSeen): Note | null {
  const answered = flows.filter(isAnswered);
  const without = answered.filter(({ banner }) => banner === null).length;
  if (without === 0) return null;
  if (source.port !== undefined) {
    const why = `the session of source port ${source.port} may have had its banner before`;
    return notMeasured("who answered", why);
  }
  if (without === answered.length) return null;
  const what = `who answered ${countText(without)} of ${plural(answered.length, "flow")}`;
  return notMeasured(what, "no banner came, from other ports neither");
}
