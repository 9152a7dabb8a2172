import type { Protocol } from "../result.ts";
import type { PodObject, ServiceObject } from "./objects.ts";
import { type NetworkPolicy, selects } from "./policy.ts";

/** Ports by protocol; none of one that is not served. */
export type Ports = Readonly<Partial<Record<Protocol, number>>>;

/** A server's Pod. */
export interface Member {
  /** `server1`; the Pod's name where it has none of its own. */
  readonly name: string;
  readonly pod: string;
  /** Null where it has none yet. */
  readonly node: string | null;
  readonly addresses: readonly string[];
  readonly nodeAddresses: readonly string[];
  /** What DNS in the fleet's namespace has it under: `server1.headless`. */
  readonly dnsName: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: Ports;
  /** Of its containers one that runs a server; null where none does. */
  readonly container: string | null;
  readonly ready: boolean;
  /** Why nothing can be run in it, as its status says; null where something can. */
  readonly notRunning: string | null;
}

/** A Service over members. */
export interface EchoService {
  readonly name: string;
  /** Of the cluster; none of a headless one, and of another type than ClusterIP. */
  readonly addresses: readonly string[];
  readonly ports: Ports;
  /** None where it is of another type than NodePort. */
  readonly nodePorts: Ports;
  /** Nodes hand on to their own members only. */
  readonly local: boolean;
  /** Names of the members that it may choose. */
  readonly members: readonly string[];
  /** Whether it is made for one member alone, which may be gone. */
  readonly own: boolean;
}

/** All that is known of a fleet before anybody is asked. */
export interface Fleet {
  readonly namespace: string;
  readonly members: readonly Member[];
  readonly services: readonly EchoService[];
  /** Of its namespace; null where they may not be read. */
  readonly policies: readonly NetworkPolicy[] | null;
  /** Names of Pods that are being deleted: they are not asked. */
  readonly leaving: readonly string[];
}

/** Tells a server from its like. */
const INSTANCE = "app.kubernetes.io/instance";

const PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];

/** What the objects of a namespace make together. Pods that leave, or have ended, are no members. */
export function fleetOf(
  namespace: string,
  pods: readonly PodObject[],
  services: readonly ServiceObject[],
  policies: readonly NetworkPolicy[] | null,
): Fleet {
  const isLeaving = ({ metadata }: PodObject): boolean => metadata.deletionTimestamp !== undefined;
  const hasEnded = ({ status }: PodObject): boolean => ["Succeeded", "Failed"].includes(status.phase);
  const staying = pods.filter((pod) => !isLeaving(pod) && !hasEnded(pod));
  const members = staying.map((pod) => memberOf(pod, staying)).sort(byName);
  return {
    namespace,
    members,
    services: services.map((service) => serviceOf(service, members)).filter(({ ports }) => hasAny(ports)),
    policies,
    leaving: pods.filter(isLeaving).map(({ metadata }) => metadata.name),
  };
}

/** In the order of a person: server2 before server10. */
function byName(a: Member, b: Member): number {
  return a.name.localeCompare(b.name, "en", { numeric: true });
}

function memberOf(pod: PodObject, all: readonly PodObject[]): Member {
  const { metadata, spec, status } = pod;
  const { hostname, subdomain } = spec;
  // Two Pods of one name stand beside each other in a rolling change.
  const isAlone = all.filter((other) => other.spec.hostname === hostname).length === 1;
  const isNamed = hostname !== undefined && subdomain !== undefined;
  const byPort = spec.containers.find(isServing);
  return {
    name: isNamed && isAlone ? hostname : metadata.name,
    pod: metadata.name,
    node: spec.nodeName ?? null,
    addresses: addressesOf(status.podIP, status.podIPs),
    nodeAddresses: addressesOf(status.hostIP, status.hostIPs),
    dnsName: isNamed && isAlone ? `${hostname}.${subdomain}` : null,
    labels: metadata.labels,
    ports: portsOf(
      (protocol) =>
        spec.containers.flatMap(({ ports }) => ports).find(({ name }) => name === protocol)?.containerPort,
    ),
    container: byPort?.name ?? null,
    ready: status.conditions.some(({ type, status }) => type === "Ready" && status === "True"),
    notRunning: notRunning(pod),
  };
}

/** Whether a Pod is one of this project's: one of its containers' ports has the name of an echo. */
export function hasEchoPort({ spec }: PodObject): boolean {
  return spec.containers.some(isServing);
}

function isServing({ ports }: PodObject["spec"]["containers"][number]): boolean {
  return ports.some(({ name }) => PROTOCOLS.some((protocol) => protocol === name));
}

function notRunning({ status }: PodObject): string | null {
  if (status.phase === "Running") return null;
  const waits = status.conditions.find(({ status, message }) => status === "False" && message !== undefined);
  const [why] = waits?.message?.split(/\.\s/, 1) ?? [];
  return [status.phase, status.reason, why].filter((word) => word !== undefined).join(": ");
}

function addressesOf(first: string | undefined, all: readonly { readonly ip: string }[] = []): string[] {
  return [...new Set([...(first === undefined ? [] : [first]), ...all.map(({ ip }) => ip)])];
}

function serviceOf({ metadata, spec }: ServiceObject, members: readonly Member[]): EchoService {
  const chosen = members.filter(
    ({ labels }) => hasAny(spec.selector) && selects({ matchLabels: spec.selector }, labels),
  );
  const portOf = (protocol: Protocol) =>
    spec.ports.find(
      ({ protocol: its, targetPort }) =>
        its.toLowerCase() === protocol &&
        (targetPort === protocol || chosen.some(({ ports }) => ports[protocol] === targetPort)),
    );
  const isOfCluster = spec.type === "ClusterIP";
  const isNodePort = spec.type === "NodePort";
  return {
    name: metadata.name,
    addresses: isOfCluster
      ? (spec.clusterIPs ?? [spec.clusterIP ?? "None"]).filter((address) => address !== "None")
      : [],
    ports: portsOf((protocol) => portOf(protocol)?.port),
    nodePorts: portsOf((protocol) => (isNodePort ? portOf(protocol)?.nodePort : undefined)),
    local: spec.externalTrafficPolicy === "Local",
    members: chosen.map(({ name }) => name),
    own: INSTANCE in spec.selector && chosen.length <= 1,
  };
}

function portsOf(find: (protocol: Protocol) => number | undefined): Ports {
  return Object.fromEntries(
    PROTOCOLS.flatMap((protocol) => {
      const port = find(protocol);
      return port === undefined ? [] : [[protocol, port]];
    }),
  );
}

function hasAny(record: object): boolean {
  return Object.keys(record).length > 0;
}
