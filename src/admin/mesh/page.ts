import type { MeshResult } from "../../diagnose/mesh/result.ts";
import type { MeshQuestion } from "../../diagnose/mesh/seen.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { NamedPort } from "../../options/kinds.ts";
import type { ContainerFacts, SelfFacts } from "../../page/facts.ts";
import { version } from "../../version.ts";
import { cached } from "../cached.ts";
import { commandsFor } from "../commands.ts";
import { namespaceHere } from "../fleet.ts";
import type { Verdict } from "../health.ts";
import { containersOfPod } from "../neighbours.ts";
import type { PageSource } from "../page-routes.ts";

/** What the page of a prober tells of it beside the matrix. */
export interface ProberAbout {
  readonly name: string;
  readonly node: string | null;
  readonly question: Pick<MeshQuestion, "name" | "degree" | "intervalMs" | "tcpPort" | "udpPort">;
  /** Where admin listens; null where it does not, and so there is no page either. */
  admin(): Endpoint | null;
  /** Admin ports of this Pod's containers, by name; empty where nobody told. */
  readonly podAdminPorts: readonly NamedPort[];
  ready(): Verdict;
}

/** As of a server: the other containers are asked how they are. */
const CONTAINERS = { freshMs: 1000, staleMs: 5000 };

/** Where a prober runs. */
interface Surroundings {
  readonly inCluster: boolean;
  readonly namespace: string | null;
}

/** A prober's page: it serves nobody, so the matrix is what there is to see. */
export function proberPage(
  about: ProberAbout,
  mesh: (scope: "own" | "all") => Promise<MeshResult>,
  { inCluster, namespace }: Surroundings = surroundings(),
): PageSource {
  const { name, node } = about;
  const self = (): SelfFacts => ({
    ...{ version: 1, name, node, state: "serving", uptimeMs: Math.round(performance.now()), sessions: [] },
  });
  const containers = cached(() => containersAround(about, self()), CONTAINERS);
  return {
    mesh,
    self: async () => self(),
    clients: async () => ({ version: 1, clients: null }),
    async facts() {
      return {
        ...self(),
        at: new Date().toISOString(),
        namespace,
        identity: identity(about, namespace),
        stateText: about.ready().text,
        addresses: { tcp: [], udp: [] },
        ...{ refusals: [], loops: [], clients: null, containers: await containers(), fleet: [] },
        commands: commandsFor({
          ...{ inCluster, dnsName: null, pod: name, namespace, tcp: null, udp: null },
          adminPorts: adminPorts(about),
        }),
        mesh: true,
      };
    },
  };
}

function surroundings(): Surroundings {
  const inCluster = process.env["KUBERNETES_SERVICE_HOST"] !== undefined; // in every container of a Pod
  return { inCluster, namespace: inCluster ? namespaceHere() : null };
}

/** Nobody told of others, so there is none to link to: a table of this one alone says nothing. */
async function containersAround(
  { admin, podAdminPorts }: ProberAbout,
  self: SelfFacts,
): Promise<ContainerFacts[]> {
  const own = admin();
  return own === null ? [] : containersOfPod(podAdminPorts, own, self);
}

function adminPorts({ admin, podAdminPorts }: ProberAbout): number[] {
  const own = admin();
  if (podAdminPorts.length > 0) return podAdminPorts.map(({ port }) => port);
  return own === null ? [] : [own.port];
}

function identity({ name, node, question }: ProberAbout, namespace: string | null): [string, string][] {
  const { name: members, degree, intervalMs, tcpPort, udpPort } = question;
  const ports = [
    ...(tcpPort === null ? [] : [`TCP ${tcpPort}`]),
    ...(udpPort === null ? [] : [`UDP ${udpPort}`]),
  ];
  return [
    ["Name", name],
    ...(node === null ? [] : [["Node", node] satisfies [string, string]]),
    ...(namespace === null ? [] : [["Namespace", namespace] satisfies [string, string]]),
    ["Version", `${version} (Bun ${Bun.version})`],
    [
      "Asks",
      `${degree} members of ${members} at most, at ${ports.join(" and ")}, every ${intervalMs / 1000} s`,
    ],
  ];
}
