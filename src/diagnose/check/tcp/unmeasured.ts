import type { Note } from "../../result.ts";
import { timeText } from "../../words.ts";
import { NEEDS_LINUX, notMeasured, REST_NOT_MEASURED } from "../unmeasured.ts";
import { bulkOf, isAnswered, type TcpSeen } from "./seen.ts";

/** What could not be found out, and why: nothing where no session came so far that it would matter. */
export function unmeasuredNotes(seen: TcpSeen): Note[] {
  return [
    refuser(seen),
    kernel(seen),
    interfaceMtu(seen),
    seen.interrupted ? REST_NOT_MEASURED : halfClose(seen),
  ].filter((note) => note !== null);
}

function refuser({ flows, bySystemCalls }: TcpSeen): Note | null {
  const refused = flows.some(
    ({ connectMs, failure }) =>
      connectMs === null &&
      failure !== null &&
      ["refused", "unreachable", "refused_or_unreachable"].includes(failure.code),
  );
  return refused && !bySystemCalls ? notMeasured("who refused", NEEDS_LINUX) : null;
}

function kernel({ flows }: TcpSeen): Note | null {
  const missing = flows.some(({ connectMs, info }) => connectMs !== null && info === null);
  return missing ? notMeasured("SYNs sent again, MSS, path MTU, the kernel's round trip", NEEDS_LINUX) : null;
}

function interfaceMtu(seen: TcpSeen): Note | null {
  const known = (bulkOf(seen)?.pathMtu ?? null) !== null;
  if (!known || seen.interfaceMtu !== null) return null;
  return notMeasured("whether the path MTU is under the interface's", "the interface's is not known");
}

function halfClose(seen: TcpSeen): Note | null {
  const bulk = bulkOf(seen);
  if (!seen.flows.some(isAnswered) || (bulk !== null && bulk.tail !== null)) return null;
  if (bulk === null) return notMeasured("bulk and half-close", "no session had all its echoes");
  if (bulk.received < bulk.bytes) {
    const stall = bulk.stalled ? ` for ${timeText(bulk.stallMs)}` : "";
    return notMeasured("half-close", `the bulk did not come back${stall}`);
  }
  return seen.settings.source.port === undefined
    ? null // the session ended in it: a problem says how
    : notMeasured("half-close", "it would keep the source port in TIME-WAIT for a minute");
}
