import { sameAddress } from "../../../net/address.ts";
import { formatEndpoint, parseEndpoint } from "../../../net/endpoint.ts";
import type { MessageCounts, Note, Problem } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import type { Words } from "../causes.ts";
import { captureUdp, udpSocketsAt } from "../next.ts";
import { flowOf, someText } from "../phrases.ts";
import { portOf, totalsOf, type UdpSeen } from "./seen.ts";

/** Verdicts of answers that came and are not as they should be. */

export function answerProblems(seen: UdpSeen): Problem[] {
  const crossed = seen.flows.reduce((sum, flow) => sum + flow.crossed, 0);
  return [
    ...otherAddress(seen),
    ...counted(seen, "duplicated", duplicatedWords),
    ...counted(seen, "corrupted", corruptedWords),
    ...counted(seen, "foreign", (counts) => foreignWords(counts, crossed)),
  ];
}

export function answerNotes(seen: UdpSeen): Note[] {
  const { reordered, received } = totalsOf(seen.flows);
  if (reordered === 0) return [];
  const says = `${countText(reordered)} of ${plural(received, "answer")} came after that to a later datagram`;
  return [{ code: "reordered", count: reordered, says }];
}

function otherAddress(seen: UdpSeen): Problem[] {
  const flows = seen.flows.filter(({ strangers }) => strangers.length > 0);
  const strangers = flows.flatMap((flow) => flow.strangers);
  const from = [...new Set(strangers.map((stranger) => stranger.from))];
  if (from[0] === undefined) return [];
  const { endpoint } = seen.asked;
  const count = strangers.reduce((sum, stranger) => sum + stranger.count, 0);
  const onlyPorts = from.every((each) => sameAddress(parseEndpoint(each)!.address, endpoint.address));
  const server = onlyPorts
    ? "the server answers from another socket than it is asked at"
    : "the server listens on all of its addresses and answers from the wrong one";
  return [
    {
      code: "other_address",
      from: from[0],
      flow: flowOf(seen.asked, flows[0]),
      says: `${plural(count, "answer")} to ${formatEndpoint(endpoint)} came from ${someText(from)}`,
      likely: `${server}, or the way back misses a translation`,
      where: "far_end",
      next: udpSocketsAt(endpoint.port),
    },
  ];
}

/** Answers of a kind that must not be, counted over all flows; none where there are none. */
function counted(
  seen: UdpSeen,
  code: "duplicated" | "corrupted" | "foreign",
  wordsOf: (counts: MessageCounts) => Words,
): Problem[] {
  const flow = seen.flows.find(({ counts }) => counts[code] > 0);
  if (flow === undefined) return [];
  const counts = totalsOf(seen.flows);
  const next = captureUdp(portOf(seen, flow));
  return [{ code, count: counts[code], flow: flowOf(seen.asked, flow), ...wordsOf(counts), next }];
}

function duplicatedWords({ duplicated, received }: MessageCounts): Words {
  return {
    says: `${plural(duplicated, "answer")} came again, beside ${countText(received)} that came once`,
    likely: "two ways lead there at once (a bridge, a mirrored port), or the server answers twice",
    where: "path",
  };
}

function corruptedWords({ corrupted, sent }: MessageCounts): Words {
  return {
    says: `${plural(corrupted, "answer")} to ${plural(sent, "datagram")} came with other bytes than were sent`,
    likely: "the server changes what it echoes, or something on the way rewrites it: checksums are right",
    where: "far_end",
  };
}

/** @param crossed how many of the foreign ones another flow of this check had sent */
function foreignWords({ foreign, lost, received, sent }: MessageCounts, crossed: number): Words {
  const whose = crossed === 0 ? "" : `, ${countText(crossed)} of them what another flow sent`;
  const none =
    received > 0 || lost === 0 ? "" : `; ${countText(lost)} of ${plural(sent, "datagram")} got no answer`;
  return {
    says: `${plural(foreign, "answer")} held what the flow did not send${whose}${none}`,
    likely:
      crossed > 0
        ? "the server, or a translation on the way back, gives one client another's answers"
        : "what answers there is no echo, or answers to the port's last owner still come",
    where: "far_end",
  };
}
