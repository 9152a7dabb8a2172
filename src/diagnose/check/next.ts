import { formatAddress, parseAddress } from "../../net/address.ts";
import type { Banner } from "../../net/banner.ts";
import { type Endpoint, hostOf } from "../../net/endpoint.ts";
import type { Asked } from "./plan.ts";

/** Commands that look further, for a problem's `next`: each one line, to be pasted into a shell. */

/** Shows what a machine's firewall does, kube-proxy's rules among it: on the machine that rejects. */
export const FIREWALL_RULES = "nft list ruleset";

/** A name with other characters is none of a Service, and not for a shell. */
const SERVICE_NAME = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;

/**
 * Shows who should answer for a Service; null where the name cannot be one.
 * @param name the host that was asked: `echo-server`, `echo-server.test`, `echo-server.test.svc.cluster.local`
 */
export function endpointSlicesOf(name: string): string | null {
  if (parseAddress(name) !== null || name === "localhost") return null;
  const [service = "", namespace, kind = "svc"] = name.replace(/\.$/, "").split(".");
  const isService =
    kind === "svc" && [service, namespace ?? service].every((part) => SERVICE_NAME.test(part));
  if (!isService) return null;
  const where = namespace === undefined ? "" : ` -n ${namespace}`;
  return `kubectl get endpointslices${where} -l kubernetes.io/service-name=${service}`;
}

/** Shows what the Pod that answered has to say; null where no banner names one. */
export function logsOf(banner: Banner | null): string | null {
  if (banner === null || banner.pod === null) return null;
  const where = banner.namespace === null ? "" : ` -n ${banner.namespace}`;
  return `kubectl logs${where} ${banner.pod} -c tcp --tail=50`;
}

/** Shows what of a UDP flow arrives and leaves, on any machine of its way. */
export function captureUdp(port: number): string {
  return `tcpdump -ni any udp port ${port}`;
}

/** Shows the packets of a session; of all to that end where this end's port is not known. Without quotes: it may be cut into lines. */
export function captureTcp(target: Endpoint, own: Endpoint | null): string {
  const port = own === null || own.port === 0 ? "" : ` and port ${own.port}`;
  return `tcpdump -ni any host ${withoutZone(target)} and tcp port ${target.port}${port}`;
}

/** Shows how connections to a port begin. */
export function captureSyns(port: number): string {
  return `tcpdump -ni any 'tcp[tcpflags] & tcp-syn != 0 and tcp port ${port}'`;
}

/** Shows which socket has a UDP port, on the machine where it is. */
export function udpSocketsAt(port: number): string {
  return `ss -anup sport = :${port}`;
}

/** Shows who has a TCP port, and in what state. */
export function tcpSocketsAt(port: number): string {
  return `ss -tanp 'sport = :${port}'`;
}

/** Shows this machine's sessions to an end. */
export function sessionsTo(target: Endpoint): string {
  return `ss -tan 'dst ${withoutZone(target)} and dport = :${target.port}'`;
}

/** Shows where on the way datagrams are lost. */
export function traceUdp(target: Endpoint): string {
  return `mtr --report --no-dns --udp --port ${target.port} ${hostOf(target)}`;
}

/** Shows which way this machine would take. ip(8) knows no zone in an address. */
export function routeTo(target: Endpoint): string {
  return `ip route get ${withoutZone(target)}${target.zone === undefined ? "" : ` oif ${target.zone}`}`;
}

/** Finds the sizes that pass, each way, of what was asked by UDP. */
export function sizesOf({ target }: Asked): string {
  return `echo-server check --mtu ${target}`;
}

/** The same of what was asked by TCP: at UDP's own port. */
export function sizesTo({ name, endpoint }: Asked): string {
  const host = parseAddress(name) === null ? name : hostOf(endpoint);
  return `echo-server check --mtu udp://${host.includes(":") ? `[${host}]` : host}`;
}

/** tcpdump, ss and ip know addresses without zones. */
function withoutZone({ address }: Endpoint): string {
  return formatAddress(address);
}
