import { Metrics } from "../harness.ts";
import { kubectl, NAMESPACE, type Pod, pods } from "./kubectl.ts";
import { addressOf } from "./net.ts";

/** The `udp` container's admin port. */
const ADMIN_PORT = 8081;

/** What a server has counted of UDP since it began. */
export interface UdpFigures {
  readonly opened: number;
  /** Banners that left: what was sent less what was echoed. */
  readonly banners: number;
  /** Sessions without a banner by the server's own will, echoes without a session, datagrams that it could not send. */
  readonly withheld: Readonly<Record<"suppressed" | "sessionless" | "notSent", number>>;
}

/** A Pod's figures, by the API server's proxy. */
export async function udpFiguresOf({ name }: Pick<Pod, "name">): Promise<UdpFigures> {
  const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}:${ADMIN_PORT}/proxy/metrics`;
  return udpFiguresIn(new Metrics(await kubectl(["get", "--raw", path])));
}

export function udpFiguresIn(metrics: Metrics): UdpFigures {
  const ofUdp = { protocol: "udp" };
  const notSent = metrics.get("echo_dropped_datagrams_total", { ...ofUdp, reason: "send_failed" });
  const dropped = sumOf(metrics, "echo_dropped_datagrams_total") - notSent;
  const echoes = metrics.get("echo_received_datagrams_total", ofUdp) - dropped;
  return {
    opened: metrics.get("echo_sessions_opened_total", ofUdp),
    banners: metrics.get("echo_sent_datagrams_total", ofUdp) - echoes,
    withheld: {
      suppressed: sumOf(metrics, "echo_udp_banners_suppressed_total"),
      sessionless: metrics.get("echo_sessionless_datagrams_total", ofUdp),
      notSent,
    },
  };
}

/** The figures of the server that has this end, as text. @throws when no Pod has it any more */
export async function udpFiguresAt(server: string): Promise<string> {
  const address = addressOf(server).replace(/^\[|\]$/g, "");
  const pod = (await pods()).find(({ ip, ip6 }) => ip === address || ip6 === address);
  if (pod === undefined) throw new Error(`no Pod has ${address}`);
  return `${pod.name} on ${pod.node}: ${JSON.stringify(await udpFiguresOf(pod))}`;
}

/** Over all labels. @throws when there is no such sample */
function sumOf(metrics: Metrics, name: string): number {
  const samples = [...metrics.samples].filter(([key]) => key.startsWith(`${name}{`));
  if (samples.length === 0) throw new Error(`no sample ${name}`);
  return samples.reduce((sum, [, value]) => sum + value, 0);
}
