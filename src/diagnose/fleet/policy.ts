import { type Address, inCidr, parseAddress, parseCidr } from "../../net/address.ts";
import type { Protocol } from "../result.ts";

/** A NetworkPolicy, as much of it as decides who may talk to whom (networking.k8s.io/v1). */
export interface NetworkPolicy {
  readonly name: string;
  /** The Pods that it is about. */
  readonly podSelector: LabelSelector;
  readonly types: readonly ("Ingress" | "Egress")[];
  readonly ingress: readonly PolicyRule[];
  readonly egress: readonly PolicyRule[];
}

/** What is let through: from or to any of the peers, on any of the ports. Without peers all; without ports all. */
export interface PolicyRule {
  readonly peers: readonly PolicyPeer[];
  readonly ports: readonly PolicyPort[];
}

export interface PolicyPeer {
  readonly podSelector?: LabelSelector | undefined;
  readonly namespaceSelector?: LabelSelector | undefined;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] | undefined } | undefined;
}

export interface PolicyPort {
  /** Default: TCP. */
  readonly protocol?: string | undefined;
  /** A number, or the name of a container's port; none: every port. */
  readonly port?: number | string | undefined;
  readonly endPort?: number | undefined;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: readonly string[] | undefined;
      }[]
    | undefined;
}

/** One end of a flow, as policies see it. */
export interface PolicyPod {
  /** Null of what is no Pod of the namespace: a node, a machine outside. */
  readonly labels: Readonly<Record<string, string>> | null;
  /** Empty where it is not known: a machine outside, as the cluster sees it. */
  readonly address: string;
  /** Of its container ports, by name. */
  readonly ports: Readonly<Record<string, number>>;
}

/**
 * Which policy of one namespace forbids Pod `from` to ask Pod `to` there by `protocol` at the port called `portName`
 * (number `port`); null where none does. A Pod that a policy selects takes (or sends) only what some policy that selects
 * it lets through: the first that selects it is named. Policies of other namespaces and of the cluster are not looked at.
 */
export function forbiddenBy(
  policies: readonly NetworkPolicy[],
  from: PolicyPod,
  to: PolicyPod,
  protocol: Protocol,
  port: number,
): string | null {
  const flow: Flow = { protocol, port, target: to };
  return blocked(policies, "Egress", from, to, flow) ?? blocked(policies, "Ingress", to, from, flow);
}

interface Flow {
  readonly protocol: Protocol;
  readonly port: number;
  /** Whose port it is. */
  readonly target: PolicyPod;
}

/** The first policy of a direction that selects `pod` where none that does lets `peer` through; else null. */
function blocked(
  policies: readonly NetworkPolicy[],
  type: "Ingress" | "Egress",
  pod: PolicyPod,
  peer: PolicyPod,
  flow: Flow,
): string | null {
  const { labels } = pod;
  if (labels === null) return null;
  const about = policies.filter(
    ({ types, podSelector }) => types.includes(type) && selects(podSelector, labels),
  );
  const rules = about.flatMap(({ ingress, egress }) => (type === "Ingress" ? ingress : egress));
  const isLetThrough = rules.some(
    ({ peers, ports }) =>
      (peers.length === 0 || peers.some((each) => isPeer(each, peer))) &&
      (ports.length === 0 || ports.some((each) => isPort(each, flow))),
  );
  return isLetThrough ? null : (about[0]?.name ?? null);
}

/**
 * Whether a rule means a Pod of the same namespace. Labels of that namespace are not known: a selector of namespaces is
 * taken to mean it, so that a policy is not accused wrongly.
 */
function isPeer({ podSelector, ipBlock }: PolicyPeer, { labels, address }: PolicyPod): boolean {
  if (ipBlock !== undefined) return isInBlock(ipBlock, address);
  if (labels === null) return false;
  return podSelector === undefined || selects(podSelector, labels);
}

function isInBlock({ cidr, except = [] }: NonNullable<PolicyPeer["ipBlock"]>, text: string): boolean {
  if (text === "") return true; // whose address is not known may be in it
  const address = parseAddress(text);
  const isIn = (block: string, inside: Address): boolean => {
    const parsed = parseCidr(block);
    return parsed !== null && inCidr(parsed, inside);
  };
  return address !== null && isIn(cidr, address) && !except.some((block) => isIn(block, address));
}

function isPort({ protocol = "TCP", port, endPort }: PolicyPort, flow: Flow): boolean {
  if (protocol.toLowerCase() !== flow.protocol) return false;
  if (port === undefined) return true;
  if (typeof port === "string") return flow.target.ports[port] === flow.port;
  return flow.port >= port && flow.port <= (endPort ?? port);
}

/** Whether a selector (meta/v1) selects these labels; an empty one selects all. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const equal = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return (
    equal &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case "In":
          return value !== undefined && values.includes(value);
        case "NotIn":
          return value === undefined || !values.includes(value);
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
        default:
          return true; // an operator of a later version: not known to exclude
      }
    })
  );
}
