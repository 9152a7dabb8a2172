import { hostname, networkInterfaces } from "node:os";
import type { BoundEndpoints, LoopSettings } from "../engine/loop.ts";
import { type Endpoint, endpointOf, formatEndpoint } from "../net/endpoint.ts";
import type { Environment } from "../options/environment.ts";
import type { NamedPort } from "../options/kinds.ts";
import type { ContainerFacts, FleetFacts, PageFacts, SelfFacts, ToldClients } from "../page/facts.ts";
import { lastClients } from "../state/last-clients.ts";
import { CONTROL, type SharedTables } from "../state/shared.ts";
import { cached } from "./cached.ts";
import { clientFacts, toldClients } from "./clients.ts";
import { commandsFor, type Whereabouts } from "./commands.ts";
import { loopFacts, refusalFacts, sessionFacts } from "./counted.ts";
import { dialable } from "./dialable.ts";
import { dnsPlace, resolveFleet } from "./fleet.ts";
import type { Readiness, Verdict } from "./health.ts";
import type { ProcessFacts } from "./metrics.ts";
import { clientsOfPod, containersOfPod, fleetFacts } from "./neighbours.ts";
import { type MeshSource, NoMesh, type PageSource } from "./page-routes.ts";
import { meshOfPod } from "./pod-mesh.ts";

/** Everything that admin tells about. */
export interface AdminFacts extends ProcessFacts {
  readonly tables: SharedTables;
  readonly bound: BoundEndpoints;
  readonly settings: LoopSettings;
  readonly place: Place;
  /** Admin ports of this Pod's containers, by name; empty where nobody told. */
  readonly podAdminPorts: readonly NamedPort[];
}

/** Where this server stands in the cluster; undefined what nobody told. */
export interface Place {
  readonly pod: string | undefined;
  readonly node: string | undefined;
  readonly namespace: string | undefined;
}

/** A page that is opened waits so long for the server's own echo; longer than that, the one before it counts. */
const ECHO_MS = 500;

/** How old the fleet may be; DNS and each member's admin port are asked for it. */
const FLEET = { freshMs: 5000, staleMs: 15_000 };
const CONTAINERS = { freshMs: 1000, staleMs: 5000 };

/** A server's page. @param own where admin listens */
export function serverPage(
  facts: AdminFacts,
  readiness: Readiness,
  own: Endpoint,
  env: Environment,
): PageSource {
  const { podAdminPorts } = facts;
  const inCluster = env["KUBERNETES_SERVICE_HOST"] !== undefined; // in every container of a Pod
  const dns = dnsPlace();
  const mesh = meshOfPod(podAdminPorts, own);
  const verdict = (): Promise<Verdict> => readiness.soon(ECHO_MS);
  const self = async (): Promise<SelfFacts> => selfFacts(facts, await verdict());
  const containers = cached(async () => containersOfPod(podAdminPorts, own, await self()), CONTAINERS);
  const clients = (): ToldClients => toldClients(lastClients(facts.tables));
  const clientsBeside = cached(() => clientsOfPod(podAdminPorts, own), CONTAINERS);
  const fleet = cached(async () => {
    const [found, known, me] = await Promise.all([resolveFleet(dns), meshAddresses(mesh), self()]);
    return fleetFacts(found, known, own.port, ownAddresses(), me);
  }, FLEET);
  return {
    self,
    clients: async () => clients(),
    mesh,
    async facts() {
      const others = Promise.all([inCluster ? fleet() : [], containers(), clientsBeside()]);
      const [[members, pod, told], now] = await Promise.all([others, verdict()]);
      return {
        ...ownFacts(facts, now),
        ...neighbourFacts(members, pod, selfFacts(facts, now)),
        clients: clientFacts([clients(), ...told], members),
        commands: commandsFor(whereabouts(facts, inCluster, dns.name, own)),
        mesh: mesh !== null,
      };
    },
  };
}

/** What a server knows without asking anybody. */
function ownFacts(
  facts: AdminFacts,
  verdict: Verdict,
): Omit<PageFacts, "clients" | "containers" | "fleet" | "commands" | "mesh"> {
  const { tables, bound, place } = facts;
  const self = selfFacts(facts, verdict);
  return {
    ...self,
    at: new Date().toISOString(),
    namespace: place.namespace ?? null,
    identity: identity(facts),
    stateText: self.state === "draining" ? drainText(self) : verdict.text,
    addresses: { tcp: bound.tcp.map(formatEndpoint), udp: bound.udp.map(formatEndpoint) },
    refusals: refusalFacts(tables, bound),
    loops: loopFacts(tables),
  };
}

function drainText({ sessions }: SelfFacts): string {
  const left = sessions.reduce((sum, { active }) => sum + active, 0);
  return `draining, newcomers are refused; sessions that may finish: ${left}`;
}

/** What others have said, some time ago, with this one as it is now. */
function neighbourFacts(
  fleet: readonly FleetFacts[],
  containers: readonly ContainerFacts[],
  { state, uptimeMs, sessions }: SelfFacts,
): Pick<PageFacts, "fleet" | "containers"> {
  return {
    fleet: fleet.map((member) => (member.self ? { ...member, state } : member)),
    containers: containers.map((container) =>
      container.self ? { ...container, state, uptimeMs, sessions } : container,
    ),
  };
}

function whereabouts(
  { bound, place, podAdminPorts }: AdminFacts,
  inCluster: boolean,
  dnsName: string | null,
  own: Endpoint,
): Whereabouts {
  return {
    ...{ inCluster, dnsName, pod: place.pod ?? null, namespace: place.namespace ?? null },
    tcp: reachable(bound.tcp),
    udp: reachable(bound.udp),
    adminPorts: podAdminPorts.length > 0 ? podAdminPorts.map(({ port }) => port) : [own.port],
  };
}

function selfFacts({ tables, bound, place }: AdminFacts, verdict: Verdict): SelfFacts {
  const draining = Atomics.load(new Int32Array(tables.control), CONTROL.draining) === 1;
  return {
    version: 1,
    name: place.pod ?? hostname(),
    node: place.node ?? null,
    state: draining ? "draining" : verdict.ok ? "serving" : "not_ready",
    uptimeMs: Math.round(performance.now()),
    sessions: sessionFacts(tables, bound),
  };
}

function identity(facts: AdminFacts): [string, string][] {
  const { pod, node, namespace } = facts.place;
  const { loops } = facts.tables;
  const known: [string, string | undefined][] = [
    ["Name", pod ?? hostname()],
    ["Node", node],
    ["Namespace", namespace],
    ["Version", `${facts.version} (Bun ${Bun.version})`],
    ["Engine", `${facts.engine} (${facts.engineReason}), event loops: ${loops}`],
  ];
  return known.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** Addresses of all whom the prober asks or may be asked by: servers that have no name are found by no other one. */
async function meshAddresses(mesh: MeshSource | null): Promise<string[]> {
  const row = await mesh?.("own");
  if (row === undefined || row instanceof NoMesh) return [];
  return row.members.flatMap(({ address }) => (address === null ? [] : [address]));
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

/** An end of this server that others may reach: where it listens on all addresses, the first that is not loopback. */
function reachable([bound]: readonly Endpoint[]): Endpoint | null {
  if (bound === undefined) return null;
  const local = dialable(bound);
  if (local.address === bound.address) return bound;
  const outside = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return (outside && endpointOf(outside.address, bound.port)) ?? local;
}
