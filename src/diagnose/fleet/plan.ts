import { parseAddress } from "../../net/address.ts";
import type { Protocol } from "../result.ts";
import { type Family, familyOf } from "../targets.ts";
import type { Way } from "./cell.ts";
import type { EchoService, Fleet, Member } from "./members.ts";
import { forbiddenBy, type PolicyPod } from "./policy.ts";

/** The one who asks from where kubectl runs. */
export const OUTSIDE = "outside";

/** One cell before it is asked. */
export interface PlannedCell {
  readonly from: string;
  readonly fromNode: string | null;
  readonly to: string;
  readonly toNode: string | null;
  readonly way: Way;
  readonly protocol: Protocol;
  /** What `check` is to ask: `udp://10.244.2.7:5678`; null where nothing is to be asked, and `why` says so. */
  readonly target: string | null;
  readonly why: string | null;
  /** The NetworkPolicy of the namespace that forbids it; null where none does, or they may not be read. */
  readonly policy: string | null;
}

export interface PlanChoice {
  readonly family: Family;
  /** Whether this machine asks, too. */
  readonly outside: boolean;
}

const PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];
/**
 * kube-proxy takes every Pod's flow for one from inside, and those go to a server of any node, Local or not. Another node
 * does not put its own address into it, so the server answers the Pod directly, who knows nothing of that server.
 */
const PAST_THE_NODE =
  "with externalTrafficPolicy: Local another node's port is for those outside: a Pod's answer may come past that node";
const NOT_FROM_OUTSIDE = "only NodePorts are reachable from outside the cluster";

/** The IP version of the members' first addresses: the cluster's own. 4 where there is none yet. */
export function familyOfFleet({ members }: Fleet): Family {
  const first = members.flatMap(({ addresses }) => addresses)[0];
  const address = first === undefined ? null : parseAddress(first);
  return address === null ? 4 : familyOf(address);
}

/** Every question of the matrix, by who asks, then by way, then by who is asked, then by protocol. */
export function planCells(fleet: Fleet, choice: PlanChoice): PlannedCell[] {
  const ways = [...podWays(fleet, choice), ...serviceWays(fleet, choice), ...nodeWays(fleet, choice)];
  const askers: (Member | null)[] = [...fleet.members, ...(choice.outside ? [null] : [])];
  return askers.flatMap((asker) =>
    ways
      .filter(({ isFor }) => isFor(asker))
      .flatMap((way) => PROTOCOLS.map((protocol) => cellOf(fleet, asker, way, protocol, choice.family))),
  );
}

/** One way in, whoever takes it. */
interface WayIn {
  readonly way: Way;
  readonly to: string;
  readonly toNode: string | null;
  /** Whether it is a question that this one asks (null: outside). */
  isFor(asker: Member | null): boolean;
  /** Null where there is none. */
  readonly host: string | null;
  port(protocol: Protocol): number | undefined;
  /** What is missing where there is no host. */
  readonly why: string;
  /** Why this asker does not ask it; null where it does. */
  notBy?(asker: Member): string | null;
  /** Where a datagram may go, as policies see it; the way is forbidden where all of them are. */
  ends(protocol: Protocol, asker: Member | null): readonly PolicyPod[];
}

function cellOf(
  { policies }: Fleet,
  asker: Member | null,
  wayIn: WayIn,
  protocol: Protocol,
  family: Family,
): PlannedCell {
  const { way, to, toNode, host } = wayIn;
  const port = wayIn.port(protocol);
  const why = whyNot(asker, wayIn, protocol);
  const from = asker === null ? outsider : policyPod(asker, family);
  const forbidden =
    policies === null || port === undefined
      ? []
      : wayIn
          .ends(protocol, asker)
          .map((end) => forbiddenBy(policies, from, end, protocol, end.ports[protocol] ?? port));
  return {
    from: asker?.name ?? OUTSIDE,
    fromNode: asker?.node ?? null,
    to,
    toNode,
    way,
    protocol,
    target: why === null ? `${protocol}://${host!.includes(":") ? `[${host}]` : host}:${port}` : null,
    why,
    policy: forbidden.length > 0 && forbidden.every((name) => name !== null) ? forbidden[0]! : null,
  };
}

function whyNot(asker: Member | null, wayIn: WayIn, protocol: Protocol): string | null {
  const { way, host, why } = wayIn;
  if (asker === null && way !== "nodeport") return NOT_FROM_OUTSIDE;
  if (host === null) return why;
  if (wayIn.port(protocol) === undefined) return `it has no ${protocol.toUpperCase()} port`;
  if (asker === null) return null;
  if (asker.notRunning !== null) return `its Pod is not running (${asker.notRunning})`;
  if (asker.container === null) return "its Pod has no container with an echo port";
  return wayIn.notBy?.(asker) ?? null;
}

/** Each member by its address and by its name, and itself by a Service of its own. */
function podWays({ members, services }: Fleet, { family }: PlanChoice): WayIn[] {
  const wayTo = (member: Member, way: Way, host: string | null, why: string): WayIn => ({
    way,
    to: member.name,
    toNode: member.node,
    isFor: (asker) => asker !== member,
    host,
    port: (protocol) => member.ports[protocol],
    why,
    ends: () => [policyPod(member, family)],
  });
  const byAddress = members.map((member) => {
    const state = member.notRunning === null ? "" : `: ${member.notRunning}`;
    return wayTo(member, "pod", ofFamily(member.addresses, family), `it has no IPv${family} address${state}`);
  });
  const byName = members.map((member) =>
    wayTo(member, "name", member.dnsName, "it has no name of its own: it is of a pool, or of a DaemonSet"),
  );
  const selves = members.map((member): WayIn => {
    const own = services.find((service) => service.own && service.members.includes(member.name));
    return {
      ...wayTo(member, "self", ofFamily(own?.addresses ?? [], family), ownMissing(own, family)),
      isFor: (asker) => asker === member || asker === null,
      port: (protocol) => own?.ports[protocol] ?? member.ports[protocol],
    };
  });
  return [...byAddress, ...byName, ...selves];
}

function ownMissing(own: EchoService | undefined, family: Family): string {
  return own === undefined
    ? "it has no Service of its own (k8s/components/hairpin makes one)"
    : `Service ${own.name} has no IPv${family} address`;
}

/** The Services over several members. */
function serviceWays({ members, services }: Fleet, { family }: PlanChoice): WayIn[] {
  return services
    .filter(({ own, addresses }) => !own && addresses.length > 0)
    .map((service) => ({
      way: "service",
      to: service.name,
      toNode: null,
      isFor: () => true,
      host: service.members.length === 0 ? null : ofFamily(service.addresses, family),
      port: (protocol) => service.ports[protocol],
      why: service.members.length === 0 ? "no member is behind it" : `it has no IPv${family} address`,
      ends: () => behind(service, members).map((member) => policyPod(member, family)),
    }));
}

/** Each node's port, of those nodes that have a member: others' addresses only an administrator may read. */
function nodeWays({ members, services }: Fleet, { family }: PlanChoice): WayIn[] {
  const service = services.find(({ nodePorts }) => Object.keys(nodePorts).length > 0);
  const nodes = [...new Set(members.flatMap(({ node }) => (node === null ? [] : [node])))].sort();
  return nodes.map((node): WayIn => {
    const here = members.filter((member) => member.node === node);
    // Of a Pod that is not started yet it is not known.
    const address = ofFamily(
      here.flatMap(({ nodeAddresses }) => nodeAddresses),
      family,
    );
    const bare = service?.local === true && !behind(service, members).some((member) => member.node === node);
    return {
      way: "nodeport",
      to: node,
      toNode: node,
      isFor: () => true,
      host: service === undefined || bare ? null : address,
      port: (protocol) => (service === undefined ? 0 : service.nodePorts[protocol]),
      why:
        service === undefined
          ? "there is no NodePort Service (k8s/components/nodeport makes one)"
          : bare
            ? `no server of Service ${service.name} is on it (externalTrafficPolicy: Local)`
            : `its IPv${family} address is not known`,
      notBy: (asker) => (service?.local === true && asker.node !== node ? PAST_THE_NODE : null),
      ends: (_protocol, asker) => {
        const all = behind(service, members);
        const local = service?.local === true ? all.filter((member) => member.node === node) : all;
        if (asker === null) return local.map((member) => policyPod(member, family));
        // A Pod's own node turns the port into a Pod's before policies see it, another one after.
        if (asker.node === node) return all.map((member) => policyPod(member, family));
        return [{ labels: null, address: address ?? "", ports: {} }];
      },
    };
  });
}

function behind(service: EchoService | undefined, members: readonly Member[]): Member[] {
  return members.filter(({ name }) => service?.members.includes(name) === true);
}

/** Somebody whom no selector of Pods means. */
const outsider: PolicyPod = { labels: null, address: "", ports: {} };

function policyPod({ labels, addresses, ports }: Member, family: Family): PolicyPod {
  return { labels, address: ofFamily(addresses, family) ?? "", ports: { ...ports } };
}

function ofFamily(addresses: readonly string[], family: Family): string | null {
  return (
    addresses.find((text) => {
      const address = parseAddress(text);
      return address !== null && familyOf(address) === family;
    }) ?? null
  );
}
