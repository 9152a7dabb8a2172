import { z } from "zod";
import { checkProbers, isMesh } from "./probers.ts";
import { type KubernetesObject, nameOf } from "./render.ts";

/**
 * What every Pod of this project must be, as schemas over the rendered YAML: the restricted Pod Security Standard
 * (kubernetes.io/docs/concepts/security/pod-security-standards), limits, probes, a pinned image.
 */

const labels = z.record(z.string(), z.string());

const quantities = z.strictObject({ cpu: z.string(), memory: z.string() });

const containerPort = z.strictObject({
  name: z.string().max(15),
  containerPort: z.int().min(2).max(65535), // 1 is the place-holder that the wiring replaces
  protocol: z.enum(["TCP", "UDP"]).default("TCP"),
});

const environmentVariable = z.union([
  z.strictObject({ name: z.string(), value: z.string() }),
  z.strictObject({
    name: z.string(),
    // With its version, which the API server would fill in: a later server-side apply would then be in conflict with it.
    valueFrom: z.strictObject({
      fieldRef: z.strictObject({ apiVersion: z.literal("v1"), fieldPath: z.string() }),
    }),
  }),
]);

const httpProbe = z.looseObject({
  httpGet: z.strictObject({ path: z.string(), port: z.string() }), // by name, so that ports are stated once
});

const settingsFrom = z.array(z.strictObject({ configMapRef: z.strictObject({ name: z.string() }) })).min(1);
const lifecycle = z.strictObject({
  preStop: z.strictObject({ sleep: z.strictObject({ seconds: z.int() }) }),
});

/** The restricted standard lets a root be written to; the echo server has no use for that, the client's shell has. */
const restricted = z.strictObject({
  allowPrivilegeEscalation: z.literal(false),
  capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
});

const container = z.looseObject({
  name: z.string(),
  /** A tag that says what it is; never none, never `latest`. */
  image: z.string().regex(/^[\w./-]+(?::(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$/),
  args: z.array(z.string()).optional(),
  ports: z.array(containerPort).default([]),
  envFrom: settingsFrom.optional(),
  lifecycle: lifecycle.optional(),
  env: z.array(environmentVariable).default([]),
  resources: z.strictObject({ requests: quantities, limits: quantities }),
  securityContext: restricted,
});

const clientContainer = container.extend({ readinessProbe: z.looseObject({}) });

/** Containers of the echo server's image also say how they live and die. */
const ownContainer = container.extend({
  livenessProbe: httpProbe,
  args: z.array(z.string()),
  envFrom: settingsFrom,
  lifecycle,
  securityContext: restricted.extend({ readOnlyRootFilesystem: z.literal(true) }),
});

const serverContainer = ownContainer.extend({ name: z.enum(["tcp", "udp"]), readinessProbe: httpProbe });

/** A prober may hold up a rollout (it has to start), and never take two servers that are well out of the Services. */
const proberContainer = ownContainer.extend({
  name: z.literal("mesh"),
  startupProbe: httpProbe,
  readinessProbe: z.never().optional(),
});

const podSecurity = z.looseObject({
  automountServiceAccountToken: z.literal(false),
  enableServiceLinks: z.literal(false),
  terminationGracePeriodSeconds: z.int(),
  securityContext: z.strictObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int().min(1),
    runAsGroup: z.int().min(1),
    seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
  }),
  hostname: z.string().optional(),
  subdomain: z.string().optional(),
  hostNetwork: z.never().optional(),
  hostPID: z.never().optional(),
  hostIPC: z.never().optional(),
  volumes: z.never().optional(),
});

const clientPod = podSecurity.extend({ containers: z.array(clientContainer).min(1) });
const serverPod = podSecurity.extend({
  containers: z
    .array(z.discriminatedUnion("name", [serverContainer, proberContainer]))
    .refine((all) => ["tcp udp", "tcp udp mesh"].includes(all.map(({ name }) => name).join(" ")), {
      error: "the containers are not tcp, udp and perhaps mesh, in this order",
    }),
  // An object of the cluster, which one fleet would take from another when it goes.
  priorityClassName: z.never().optional(),
});

const workload = z.looseObject({
  selector: z.strictObject({ matchLabels: labels }),
  template: z.looseObject({ metadata: z.looseObject({ labels }), spec: serverPod }),
});

export const service = z.looseObject({
  clusterIP: z.literal("None").optional(),
  type: z.enum(["NodePort", "LoadBalancer"]).optional(),
  externalTrafficPolicy: z.literal("Local").optional(),
  publishNotReadyAddresses: z.boolean().optional(),
  ipFamilyPolicy: z.enum(["SingleStack", "PreferDualStack"]),
  selector: labels,
  ports: z
    .array(
      z.strictObject({
        name: z.string(),
        port: z.int().min(2).max(65535),
        targetPort: z.string(),
        protocol: z.enum(["TCP", "UDP"]).default("TCP"),
        nodePort: z.int().optional(),
      }),
    )
    .min(1),
});

/** What the checks need of a Pod or of a template that Pods are made from. */
export interface PodShape {
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: z.infer<typeof serverPod> | z.infer<typeof clientPod>;
}

export function podsOf(objects: readonly KubernetesObject[]): PodShape[] {
  return objects.flatMap((object): PodShape[] => {
    const owner = nameOf(object);
    if (object.kind === "Pod") {
      return [{ owner, labels: object.metadata.labels ?? {}, spec: check(clientPod, object) }];
    }
    if (object.kind !== "Deployment" && object.kind !== "DaemonSet") return [];
    const { selector, template } = check(workload, object);
    if (!selects(selector.matchLabels, template.metadata.labels)) {
      throw new Error(`${owner}: its selector does not match its own Pods`);
    }
    return [{ owner, labels: template.metadata.labels, spec: template.spec }];
  });
}

/** Parses an object's spec. @throws with the object's name and every field that is wrong */
export function check<T>(schema: z.ZodType<T>, object: KubernetesObject): T {
  const result = schema.safeParse(object.spec);
  if (result.success) return result.data;
  throw new Error(`${nameOf(object)}: ${z.prettifyError(result.error)}`);
}

export function selects(
  selector: Readonly<Record<string, string>>,
  found: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([key, value]) => found[key] === value);
}

/** Everything a fleet must satisfy whatever its parts are. @throws at the first thing that is wrong */
export function checkFleet(objects: readonly KubernetesObject[]): void {
  unique("object", objects.map(nameOf));
  namespaceOf(objects);
  const pods = podsOf(objects);
  for (const pod of pods) {
    unique(
      `container of ${pod.owner}`,
      pod.spec.containers.map(({ name }) => name),
    );
    const ports = pod.spec.containers.flatMap((each) => each.ports);
    unique(
      `port name of ${pod.owner}`,
      ports.map(({ name }) => name),
    );
    unique(
      `port of ${pod.owner}`,
      ports.map((port) => `${port.containerPort}/${port.protocol}`),
    );
  }
  const services = objects.filter(({ kind }) => kind === "Service");
  for (const object of services) checkService(object, pods);
  unique(
    "node port",
    services.flatMap((object) => check(service, object).ports.map(({ nodePort }) => nodePort)),
  );
  for (const object of objects) checkReferences(object, objects, pods);
  checkProbers(objects, pods);
}

/** The one namespace that all of them are in, the Namespace itself among them. @throws when there are more, or none */
export function namespaceOf(objects: readonly KubernetesObject[]): string {
  const found = new Set(
    objects.map(({ kind, metadata }) => (kind === "Namespace" ? metadata.name : metadata.namespace)),
  );
  const [namespace] = found;
  if (found.size !== 1 || namespace === undefined) throw new Error(`not one namespace but: ${[...found]}`);
  return namespace;
}

/** Tells a server from its like. */
const INSTANCE = "app.kubernetes.io/instance";

function checkService(object: KubernetesObject, pods: readonly PodShape[]): void {
  const { selector, ports } = check(service, object);
  unique(
    `port name of ${nameOf(object)}`,
    ports.map(({ name }) => name),
  );
  const chosen = pods.filter((pod) => selects(selector, pod.labels));
  // With every-node in place of server1..3 and no pool, each Service still has the DaemonSet; but for those of one server.
  const isOfGone =
    selector[INSTANCE] !== undefined && pods.some(({ labels }) => labels[INSTANCE] === "every-node");
  if (chosen.length === 0 && !isOfGone) throw new Error(`${nameOf(object)} selects no Pod`);
  for (const port of ports) {
    for (const pod of chosen) {
      const targets = pod.spec.containers.flatMap((each) => each.ports);
      const target = targets.find(({ name }) => name === port.targetPort);
      if (target?.protocol !== port.protocol) {
        throw new Error(`${nameOf(object)}: ${pod.owner} has no ${port.protocol} port ${port.targetPort}`);
      }
      if (target.containerPort !== port.port) {
        throw new Error(
          `${nameOf(object)}: ${port.name} is ${port.port}, and ${target.containerPort} in ${pod.owner}`,
        );
      }
    }
  }
}

const podSelector = z.looseObject({ matchLabels: labels.default({}) });
const policyPorts = z.array(
  z.looseObject({ ports: z.array(z.looseObject({ port: z.union([z.string(), z.int()]) })).default([]) }),
);
const references = {
  PodDisruptionBudget: z.looseObject({ selector: podSelector }),
  NetworkPolicy: z.looseObject({
    podSelector,
    ingress: policyPorts.default([]),
    egress: policyPorts.default([]),
  }),
  HorizontalPodAutoscaler: z.looseObject({
    scaleTargetRef: z.looseObject({ kind: z.string(), name: z.string() }),
    metrics: z.array(z.looseObject({ containerResource: z.looseObject({ container: z.string() }) })),
  }),
  ServiceMonitor: z.looseObject({
    selector: podSelector,
    endpoints: z.array(z.looseObject({ port: z.string() })).min(1),
  }),
};

/** What an object points at must be there. */
function checkReferences(
  object: KubernetesObject,
  objects: readonly KubernetesObject[],
  pods: readonly PodShape[],
): void {
  const missing = (what: string): never => {
    throw new Error(`${nameOf(object)}: no ${what}`);
  };
  switch (object.kind) {
    case "PodDisruptionBudget": {
      const { selector } = check(references.PodDisruptionBudget, object);
      if (!pods.some((pod) => selects(selector.matchLabels, pod.labels))) missing("Pod that it selects");
      break;
    }
    case "NetworkPolicy": {
      const { podSelector, ingress, egress } = check(references.NetworkPolicy, object);
      const chosen = pods.filter((pod) => selects(podSelector.matchLabels, pod.labels));
      const names = chosen.flatMap((pod) =>
        pod.spec.containers.flatMap((each) => each.ports.map(({ name }) => name)),
      );
      const servers = pods.flatMap(({ spec }) =>
        spec.containers.flatMap((each) => each.ports.map(({ name }) => name)),
      );
      // Open or closed, where nobody has it: that of the prober, which is a component's.
      for (const known of [names, servers]) known.push("mesh-admin");
      for (const { port } of egress.flatMap(({ ports }) => ports)) {
        if (typeof port === "string" && !servers.includes(port)) missing(`port ${port} in any Pod`);
      }
      for (const { port } of ingress.flatMap(({ ports }) => ports)) {
        if (typeof port === "string" && !names.includes(port)) missing(`port ${port} in what it selects`);
      }
      break;
    }
    case "HorizontalPodAutoscaler": {
      const { scaleTargetRef, metrics } = check(references.HorizontalPodAutoscaler, object);
      const target = pods.find(({ owner }) => owner === `${scaleTargetRef.kind}/${scaleTargetRef.name}`);
      for (const { containerResource } of metrics) {
        const name = containerResource.container;
        if (!target?.spec.containers.some((each) => each.name === name))
          missing(`container ${name} to scale by`);
      }
      break;
    }
    case "ServiceMonitor": {
      const { selector, endpoints } = check(references.ServiceMonitor, object);
      const hasMesh = objects.some(({ kind, metadata }) => kind === "Service" && isMesh(metadata.labels));
      if (isMesh(selector.matchLabels) && !hasMesh) break;
      const targets = objects.filter(
        ({ kind, metadata }) => kind === "Service" && selects(selector.matchLabels, metadata.labels ?? {}),
      );
      if (targets.length !== 1)
        missing(`single Service that it selects, but ${targets.map(nameOf).join(", ")}`);
      const ports = check(service, targets[0]!).ports.map(({ name }) => name);
      for (const { port } of endpoints) if (!ports.includes(port)) missing(`port ${port} to scrape`);
      break;
    }
  }
}

function unique(what: string, values: readonly (string | number | undefined)[]): void {
  const seen = new Set<string | number>();
  for (const value of values) {
    if (value === undefined) continue;
    if (seen.has(value)) throw new Error(`twice the same ${what}: ${value}`);
    seen.add(value);
  }
}
