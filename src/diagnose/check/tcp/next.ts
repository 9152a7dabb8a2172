import { parseAddress } from "../../../net/address.ts";
import { type Endpoint, hostOf } from "../../../net/endpoint.ts";
import type { Asked } from "../plan.ts";
import type { FlowSeen } from "./seen.ts";

/** What to do next about a problem of TCP: one command each. */

/** A label of a DNS name (RFC 1123, 2.1), as Kubernetes gives them to Services and namespaces. */
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** Shows which Pods a Service has; null where the name can be no Service's. */
export function endpointsCommand({ name }: Asked): string | null {
  const [service = "", namespace, kind] = name.split(".");
  const isService = namespace === undefined || kind === undefined || kind === "svc";
  const named = [service, ...(namespace === undefined ? [] : [namespace])].every((label) =>
    LABEL.test(label),
  );
  if (!isService || !named || name === "localhost" || parseAddress(name) !== null) return null;
  const where = namespace === undefined ? "" : ` -n ${namespace}`;
  return `kubectl get endpointslices${where} -l kubernetes.io/service-name=${service}`;
}

/** Shows the packets of a flow; of all flows to that end where its port is not known. */
export function captureCommand(target: Endpoint, own: Endpoint | null): string {
  const port = own === null || own.port === 0 ? "" : ` and port ${own.port}`;
  return `tcpdump -ni any 'host ${hostWithoutZone(target)} and tcp port ${target.port}${port}'`;
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

/** tcpdump knows addresses without zones. */
function hostWithoutZone({ address, port }: Endpoint): string {
  return hostOf({ address, port });
}
