import type { Note } from "../../result.ts";
import { countText, timeText } from "../../words.ts";
import { type BulkSeen, isAnswered, type TcpSeen } from "./seen.ts";

/** A path MTU under the interface's, where everything passes. */
export function mtuNote(seen: TcpSeen): Note | null {
  const bulk = seen.flows.find((flow) => flow.bulk !== null)?.bulk ?? null;
  if (bulk === null || bulk.pathMtu === null || bulk.stalled || bulk.received < bulk.bytes) return null;
  if (seen.interfaceMtu === null || bulk.pathMtu >= seen.interfaceMtu) return null;
  return {
    code: "mtu_reduced",
    direction: "there",
    mtu: bulk.pathMtu,
    says: `packets of ${countText(bulk.pathMtu)} bytes go there, the interface has ${countText(seen.interfaceMtu)}; everything passes`,
  };
}

/** What could not be found out, and why: nothing where no session came so far that it would matter. */
export function notMeasuredNotes(seen: TcpSeen): Note[] {
  const texts = [
    refuserText(seen),
    kernelText(seen),
    interfaceText(seen),
    onePortText(seen),
    seen.interrupted ? "the rest: not measured (interrupted)" : halfCloseText(seen),
  ];
  return texts.flatMap((says) => (says === null ? [] : [{ code: "not_measured" as const, says }]));
}

const NEEDS_LINUX = "(needs Linux)";

function refuserText({ flows, bySystemCalls }: TcpSeen): string | null {
  const refused = flows.some(
    ({ connectMs, failure }) =>
      connectMs === null &&
      failure !== null &&
      ["refused", "unreachable", "refused_or_unreachable"].includes(failure.code),
  );
  return refused && !bySystemCalls ? `who refused: not measured ${NEEDS_LINUX}` : null;
}

function kernelText({ flows }: TcpSeen): string | null {
  const missing = flows.some(({ connectMs, info }) => connectMs !== null && info === null);
  return missing
    ? `SYNs sent again, MSS, path MTU, the kernel's round trip: not measured ${NEEDS_LINUX}`
    : null;
}

function interfaceText({ flows, interfaceMtu }: TcpSeen): string | null {
  const known = flows.some(({ bulk }) => bulk !== null && bulk.pathMtu !== null);
  return known && interfaceMtu === null
    ? "whether the path MTU is under the interface's: not measured (the interface's is not known)"
    : null;
}

function onePortText({ settings: { flows, source } }: TcpSeen): string | null {
  if (source.port === undefined || flows === 1) return null;
  return `how sessions spread: not measured (those from source port ${source.port} are one flow, not ${countText(flows)})`;
}

function halfCloseText({ flows, settings }: TcpSeen): string | null {
  const bulk: BulkSeen | null = flows.find((flow) => flow.bulk !== null)?.bulk ?? null;
  if (!flows.some(isAnswered) || (bulk !== null && bulk.tail !== null)) return null;
  if (bulk === null) return "bulk and half-close: not measured (no session had all its echoes)";
  if (bulk.received < bulk.bytes) {
    const stall = bulk.stalled ? ` for ${timeText(bulk.stallMs)}` : "";
    return `half-close: not measured (the bulk did not come back${stall})`;
  }
  return settings.source.port === undefined
    ? null // the session ended in it: a problem says how
    : "half-close: not measured (it would keep the source port in TIME-WAIT for a minute)";
}
