/** A fleet's objects as `kubectl get -o json` has them, as much of them as matters. */

export interface PodShape {
  readonly name: string;
  readonly node?: string | undefined;
  readonly ip?: string | undefined;
  readonly ip6?: string | undefined;
  readonly hostIp?: string;
  /** Of `server1.headless`; null for a Pod of a pool. */
  readonly instance?: string | null;
  /** False: it has no name in DNS. */
  readonly named?: boolean;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly leaving?: boolean;
  readonly tcpPort?: number;
  readonly udpPort?: number;
}

const NAME = { "app.kubernetes.io/name": "echo-server" };

export function podObject(shape: PodShape): object {
  const { name, node = "node1", ip, ip6, hostIp = "10.89.0.11", instance = null } = shape;
  const {
    named = true,
    ready = true,
    phase = "Running",
    leaving = false,
    tcpPort = 1234,
    udpPort = 5678,
  } = shape;
  const member = instance === null ? {} : { "app.kubernetes.io/instance": instance };
  return {
    metadata: {
      name,
      labels: { ...NAME, "app.kubernetes.io/component": instance === null ? "pool" : "server", ...member },
      ...(leaving ? { deletionTimestamp: "2026-11-26T05:00:00Z" } : {}),
    },
    spec: {
      ...(phase === "Pending" ? {} : { nodeName: node }),
      ...(instance === null || !named ? {} : { hostname: instance, subdomain: "headless" }),
      containers: [
        {
          name: "tcp",
          ports: [
            { name: "tcp", containerPort: tcpPort },
            { name: "tcp-admin", containerPort: 8080 },
          ],
        },
        { name: "udp", ports: [{ name: "udp", containerPort: udpPort, protocol: "UDP" }] },
      ],
    },
    status: {
      phase,
      ...(ip === undefined
        ? {}
        : { podIP: ip, podIPs: [{ ip }, ...(ip6 === undefined ? [] : [{ ip: ip6 }])] }),
      hostIP: hostIp,
      conditions: [
        { type: "Ready", status: ready ? "True" : "False" },
        ...(phase === "Pending"
          ? [{ type: "PodScheduled", status: "False", message: "0/3 nodes are available" }]
          : []),
      ],
    },
  };
}

export interface ServiceShape {
  readonly name: string;
  readonly ip?: string;
  readonly type?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly local?: boolean;
  readonly tcpPort?: number;
  readonly udpPort?: number;
  readonly nodePorts?: readonly [tcp: number, udp: number];
}

export function serviceObject(shape: ServiceShape): object {
  const { name, ip = "10.96.0.7", type = "ClusterIP", selector = NAME, local = false, nodePorts } = shape;
  const { tcpPort = 1234, udpPort = 5678 } = shape;
  return {
    metadata: { name, labels: NAME },
    spec: {
      type,
      clusterIP: ip,
      clusterIPs: [ip],
      selector,
      ...(local ? { externalTrafficPolicy: "Local" } : {}),
      ports: [
        {
          name: "tcp",
          port: tcpPort,
          targetPort: "tcp",
          protocol: "TCP",
          ...(nodePorts && { nodePort: nodePorts[0] }),
        },
        {
          name: "udp",
          port: udpPort,
          targetPort: "udp",
          protocol: "UDP",
          ...(nodePorts && { nodePort: nodePorts[1] }),
        },
      ],
    },
  };
}

/** The Service of one member alone. */
export function ownService(instance: string, ip: string): object {
  return serviceObject({
    name: `${instance}-hairpin`,
    ip,
    selector: { ...NAME, "app.kubernetes.io/instance": instance },
  });
}

export function listOf(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}
