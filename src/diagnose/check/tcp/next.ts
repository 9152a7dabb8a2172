import { parseAddress } from "../../../net/address.ts";
import { type Endpoint, hostOf } from "../../../net/endpoint.ts";
import { endpointSlicesOf } from "../commands.ts";
import type { Asked } from "../plan.ts";
import type { FlowSeen } from "./seen.ts";

/** What to do next about a problem of TCP: one command each, to be pasted into a shell. */

/** Shows which Pods a Service has; where the name can be no Service's, the packets. */
export function backendsCommand(asked: Asked, { own }: FlowSeen): string {
  return endpointSlicesOf(asked.name) ?? captureCommand(asked.endpoint, own);
}

/** Shows the packets of a flow; of all flows to that end where its port is not known. Without quotes: it may be cut into lines. */
export function captureCommand(target: Endpoint, own: Endpoint | null): string {
  const port = own === null || own.port === 0 ? "" : ` and port ${own.port}`;
  const host = hostOf({ address: target.address, port: 0 }); // tcpdump knows addresses without zones
  return `tcpdump -ni any host ${host} and tcp port ${target.port}${port}`;
}

/** Shows how connections to a port begin. */
export function captureSynsCommand({ port }: Endpoint): string {
  return `tcpdump -ni any 'tcp[tcpflags] & tcp-syn != 0 and tcp port ${port}'`;
}

/** Shows what the Pod that answered has to say; null where no banner names one. */
export function logsCommand({ banner }: FlowSeen): string | null {
  if (banner === null || banner.pod === null) return null;
  const where = banner.namespace === null ? "" : ` -n ${banner.namespace}`;
  return `kubectl logs${where} ${banner.pod} -c tcp --tail=50`;
}

/** Finds the sizes that pass, each way, by UDP. */
export function sizesCommand({ name, endpoint }: Asked): string {
  const host = parseAddress(name) === null ? name : hostOf(endpoint);
  return `echo-server check --mtu udp://${host.includes(":") ? `[${host}]` : host}`;
}

/** Shows who has a source port, and in what state. */
export function portCommand(port: number): string {
  return `ss -tanp 'sport = :${port}'`;
}

/** Shows the machine's sessions to that end. */
export function sessionsCommand({ address, port }: Endpoint): string {
  return `ss -tan 'dst ${hostOf({ address, port: 0 })} and dport = :${port}'`;
}
