import type { MeshResult } from "../../diagnose/mesh/result.ts";
import type { MeshQuestion } from "../../diagnose/mesh/seen.ts";
import type { SelfFacts } from "../../page/facts.ts";
import { version } from "../../version.ts";
import { commandsFor } from "../commands.ts";
import type { Verdict } from "../health.ts";
import type { PageSource } from "../page-routes.ts";

/** What the page of a prober tells of it beside the matrix. */
export interface ProberAbout {
  readonly name: string;
  readonly node: string | null;
  readonly question: Pick<MeshQuestion, "name" | "degree" | "intervalMs" | "tcpPort" | "udpPort">;
  /** Of admin; null where it has none, and so no page either. */
  adminPort(): number | null;
  ready(): Verdict;
}

/** A prober's page: it serves nobody, so the matrix is what there is to see. */
export function proberPage(
  about: ProberAbout,
  mesh: (scope: "own" | "all") => Promise<MeshResult>,
): PageSource {
  const { name, node } = about;
  const self = (): SelfFacts => ({
    ...{ version: 1, name, node, state: "serving", uptimeMs: Math.round(performance.now()), sessions: [] },
  });
  return {
    mesh,
    self: async () => self(),
    clients: async () => ({ version: 1, clients: null }),
    async facts() {
      const port = about.adminPort();
      return {
        ...self(),
        at: new Date().toISOString(),
        namespace: null,
        identity: identity(about),
        stateText: about.ready().text,
        addresses: { tcp: [], udp: [] },
        ...{ refusals: [], loops: [], clients: null, containers: [], fleet: [] },
        commands: commandsFor({
          inCluster: process.env["KUBERNETES_SERVICE_HOST"] !== undefined, // in every container of a Pod
          ...{ dnsName: null, pod: name, namespace: null, tcp: null, udp: null },
          adminPorts: port === null ? [] : [port],
        }),
        mesh: true,
      };
    },
  };
}

function identity({ name, node, question }: ProberAbout): [string, string][] {
  const { name: members, degree, intervalMs, tcpPort, udpPort } = question;
  const ports = [
    ...(tcpPort === null ? [] : [`TCP ${tcpPort}`]),
    ...(udpPort === null ? [] : [`UDP ${udpPort}`]),
  ];
  return [
    ["Name", name],
    ...(node === null ? [] : [["Node", node] satisfies [string, string]]),
    ["Version", `${version} (Bun ${Bun.version})`],
    [
      "Asks",
      `${degree} members of ${members} at most, at ${ports.join(" and ")}, every ${intervalMs / 1000} s`,
    ],
  ];
}
