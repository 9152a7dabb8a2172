import { z } from "zod";
import { StartError } from "../../errors.ts";
import type { NetworkPolicy } from "./policy.ts";

/** What kubectl tells of a namespace's objects, as much as is used of it: it comes from outside, and is checked here. */

const labels = z.record(z.string(), z.string());
const meta = z.object({
  name: z.string(),
  labels: labels.default({}),
  deletionTimestamp: z.string().optional(),
});
const ips = z.array(z.object({ ip: z.string() }));

const pod = z.object({
  metadata: meta,
  spec: z.object({
    nodeName: z.string().optional(),
    hostname: z.string().optional(),
    subdomain: z.string().optional(),
    containers: z.array(
      z.object({
        name: z.string(),
        ports: z.array(z.object({ name: z.string().optional(), containerPort: z.int() })).default([]),
      }),
    ),
  }),
  status: z.object({
    phase: z.string().default("Unknown"),
    reason: z.string().optional(),
    podIP: z.string().optional(),
    podIPs: ips.optional(),
    hostIP: z.string().optional(),
    hostIPs: ips.optional(),
    conditions: z
      .array(z.object({ type: z.string(), status: z.string(), message: z.string().optional() }))
      .default([]),
  }),
});

const service = z.object({
  metadata: meta,
  spec: z.object({
    type: z.string().default("ClusterIP"),
    clusterIP: z.string().optional(),
    clusterIPs: z.array(z.string()).optional(),
    externalTrafficPolicy: z.string().optional(),
    selector: labels.default({}),
    ports: z
      .array(
        z.object({
          port: z.int(),
          protocol: z.string().default("TCP"),
          targetPort: z.union([z.int(), z.string()]).optional(),
          nodePort: z.int().optional(),
        }),
      )
      .default([]),
  }),
});

const selector = z.object({
  matchLabels: labels.optional(),
  matchExpressions: z
    .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
});

const peers = z
  .array(
    z.object({
      podSelector: selector.optional(),
      namespaceSelector: selector.optional(),
      ipBlock: z.object({ cidr: z.string(), except: z.array(z.string()).optional() }).optional(),
    }),
  )
  .default([]);

const ports = z
  .array(
    z.object({
      protocol: z.string().optional(),
      port: z.union([z.int(), z.string()]).optional(),
      endPort: z.int().optional(),
    }),
  )
  .default([]);

const policy = z.object({
  metadata: meta,
  spec: z.object({
    podSelector: selector.default({}),
    policyTypes: z.array(z.enum(["Ingress", "Egress"])).optional(),
    ingress: z.array(z.object({ from: peers, ports })).optional(),
    egress: z.array(z.object({ to: peers, ports })).optional(),
  }),
});

export type PodObject = z.infer<typeof pod>;
export type ServiceObject = z.infer<typeof service>;

/** @throws StartError where the text is not what kubectl prints of Pods */
export function readPods(text: string): readonly PodObject[] {
  return read(text, pod, "pods");
}

/** @throws StartError where the text is not what kubectl prints of Services */
export function readServices(text: string): readonly ServiceObject[] {
  return read(text, service, "services");
}

/** @throws StartError where the text is not what kubectl prints of NetworkPolicies */
export function readPolicies(text: string): readonly NetworkPolicy[] {
  return read(text, policy, "networkpolicies").map(({ metadata, spec }) => ({
    name: metadata.name,
    podSelector: spec.podSelector,
    // What is not said (networking.k8s.io/v1): ingress always, egress where there are rules of it.
    types: spec.policyTypes ?? (spec.egress === undefined ? ["Ingress"] : ["Ingress", "Egress"]),
    ingress: (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports })),
    egress: (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports })),
  }));
}

function read<T>(text: string, item: z.ZodType<T>, what: string): readonly T[] {
  const parsed = z.object({ items: z.array(item) }).safeParse(fromJson(text));
  if (parsed.success) return parsed.data.items;
  const [issue] = parsed.error.issues;
  throw new StartError(
    `kubectl get ${what} prints something else than expected: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`.trim(),
  );
}

/** What a JSON text holds; undefined where it is none. */
export function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A kubectl that is a script of somebody's says a word of its own before, or after.
    const at = text.search(/^\{/m);
    const alone = text.slice(Math.max(at, 0), text.lastIndexOf("}") + 1);
    return alone === text ? undefined : fromJson(alone);
  }
}
