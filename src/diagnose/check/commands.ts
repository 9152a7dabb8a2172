import { formatAddress, parseAddress } from "../../net/address.ts";
import { type Endpoint, hostOf } from "../../net/endpoint.ts";
import type { Problem } from "../result.ts";

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

/** Shows what of a UDP flow arrives and leaves, on any machine of its way. */
export function watchUdp(port: number): string {
  return `tcpdump -ni any udp port ${port}`;
}

/** Shows which socket has a UDP port, on the machine where it is. */
export function udpSocketsAt(port: number): string {
  return `ss -anup sport = :${port}`;
}

/** Shows where on the way datagrams are lost. */
export function traceUdp(target: Endpoint): string {
  return `mtr --report --no-dns --udp --port ${target.port} ${hostOf(target)}`;
}

/** Shows which way this machine would take. ip(8) knows no zone in an address. */
export function routeTo({ address, zone }: Endpoint): string {
  return `ip route get ${formatAddress(address)}${zone === undefined ? "" : ` oif ${zone}`}`;
}

/** What is told where the zone of an address is no interface here. */
export function noInterface({ zone }: Endpoint): Pick<Problem, "likely" | "where" | "next"> {
  return {
    likely: `this machine has no interface ${zone ?? "of that name"}`,
    where: "this_machine",
    next: "ip link",
  };
}
