import type { Problem } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import { captureUdp } from "../next.ts";
import { flowOf } from "../phrases.ts";
import { isNoEcho, lostHereOf, portOf, totalsOf, type UdpSeen } from "./seen.ts";

/** Answers of this size may be more than a socket's buffer holds, few as they are. */
export const LARGE_BYTES = 16 * 1024;

/** What did not come back while this machine had no room for what came: that all is well on the way was not seen. */
export function overrunProblems(seen: UdpSeen): Problem[] {
  // A refusal explains what is lost of its flow, and an answer that is no echo what is lost of all.
  const flows = seen.flows.filter((flow) => lostHereOf(flow) > 0 && flow.news.length === 0);
  if (flows.length === 0 || isNoEcho(seen.flows)) return [];
  const count = flows.reduce((sum, flow) => sum + lostHereOf(flow), 0);
  const dropped = flows.reduce((sum, flow) => sum + flow.dropped, 0);
  const { size } = seen.settings;
  const ports = flows.length === 1 ? "its port" : `the ports of ${countText(flows.length)} flows`;
  const cause =
    size >= LARGE_BYTES
      ? {
          likely: `answers of ${countText(size)} bytes are more than a socket's receive buffer here has room for`,
          next: "sysctl net.core.rmem_default net.core.rmem_max",
        }
      : {
          likely: "somebody floods this port with datagrams that nobody asked for",
          next: captureUdp(portOf(seen, flows[0]!)),
        };
  return [
    {
      code: "lost",
      count,
      flow: flowOf(seen.asked, flows[0]),
      says: `${countText(count)} of ${plural(totalsOf(seen.flows).sent, "datagram")} did not come back while this machine had no room for ${countText(dropped)} that came to ${ports}`,
      ...cause,
      where: "this_machine",
    },
  ];
}
