import { expect, test } from "bun:test";
import { Metrics } from "../harness.ts";
import { execIn, forwarded, inClient, kubectl, NAMESPACE, nodeAddresses, type Pod, pods } from "./kubectl.ts";
import { tcpEcho, udpEcho } from "./net.ts";
import { eventually, say } from "./shell.ts";

/** A namespace beside the fleet's, where somebody else's Pods are: Prometheus, say. */
const ELSEWHERE = "echo-elsewhere";

/** Seconds after which an answer that has not come counts as refused: a policy drops, it does not reject. */
const REFUSED_SECONDS = 3;

const SERVER_ADMIN_PORTS = [
  [8080, "tcp"],
  [8081, "udp"],
] as const;
const MESH_ADMIN_PORT = 8082;
const ADMIN_PORTS = [...SERVER_ADMIN_PORTS.map(([port]) => port), MESH_ADMIN_PORT];

/** A Pod with a shell, fit for the restricted standard. */
const shellPod = (namespace: string, name: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: {
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "shell",
        image: "alpine:3.22",
        command: ["sleep", "infinity"],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

const wget = (url: string): string => `wget -T ${REFUSED_SECONDS} -q -O- ${url}`;
const said = (script: string): string => `if ${script}; then echo reached; else echo refused; fi`;

/** Of each family that the cluster has. */
const addressesOf = ({ ip, ip6 }: Pod): string[] => (ip6 === "" ? [ip] : [ip, ip6]);
const urlHosts = (pod: Pod): string[] =>
  addressesOf(pod).map((address) => (address.includes(":") ? `[${address}]` : address));

/** The `network-policy` component at work. Expects it on a running fleet with NodePort, pool, mesh and monitoring. */
export function networkPolicyTests(): void {
  test("network policy: what it must let in gets in, and what it must not does not", async () => {
    await kubectl(["create", "namespace", ELSEWHERE]);
    try {
      await kubectl(["create", "-f", "-"], { stdin: JSON.stringify(shellPod(ELSEWHERE, "scraper")) });
      await kubectl(["create", "-f", "-"], { stdin: JSON.stringify(shellPod(NAMESPACE, "stranger")) });
      await kubectl(["wait", "-n", ELSEWHERE, "--for=condition=Ready", "pod/scraper", "--timeout=60s"]);
      await kubectl(["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/stranger", "--timeout=60s"]);
      const fleet = await pods();
      await Promise.all([anyPodOfTheClusterIsLetIn(fleet), outsidersGetTheEchoAlone(fleet[0]!)]);
      await aPodOfTheNamespaceSpeaksToNobody(fleet[0]!);
      await theClientSpeaksToTheFleetAlone();
    } finally {
      await kubectl(["delete", "pod", "stranger", "-n", NAMESPACE, "--ignore-not-found"]);
      await kubectl(["delete", "namespace", ELSEWHERE]);
    }
  });

  test("network policy: kubectl port-forward and exec reach the admin ports all the same", async () => {
    const target = (await pods("app.kubernetes.io/component=server"))[0]!;
    for (const [port, protocol] of SERVER_ADMIN_PORTS) {
      await using forward = await forwarded(target.name, port);
      expect(await (await fetch(`${forward.url}/readyz`)).text()).toStartWith("ready");
      const metrics = new Metrics(await (await fetch(`${forward.url}/metrics`)).text());
      expect(metrics.get("echo_sessions_opened_total", { protocol })).toBeGreaterThanOrEqual(0);
      const health = ["exec", target.name, "-n", NAMESPACE, "-c", protocol, "--", "echo-server", "health"];
      expect(await kubectl(health)).toStartWith("ready");
    }
  });
}

/** As Prometheus would: every Pod's both pages, by address and by the Service it finds them through; and the echo. */
async function anyPodOfTheClusterIsLetIn(fleet: readonly Pod[]): Promise<void> {
  const inScraper = (script: string): Promise<string> => execIn(ELSEWHERE, "scraper", script);
  for (const [port, protocol] of SERVER_ADMIN_PORTS) {
    for (const host of [...fleet.flatMap(urlHosts), `metrics.${NAMESPACE}`]) {
      const metrics = new Metrics(await inScraper(wget(`http://${host}:${port}/metrics`)));
      expect(metrics.get("echo_sessions_opened_total", { protocol })).toBeGreaterThanOrEqual(0);
    }
  }
  for (const host of [...fleet.flatMap(urlHosts), `mesh.${NAMESPACE}`]) {
    const metrics = new Metrics(await inScraper(wget(`http://${host}:${MESH_ADMIN_PORT}/metrics`)));
    expect(metrics.get("echo_mesh_members")).toBe(fleet.length);
  }
  for (const [nc, port] of [["nc -w1", 1234] as const, ["nc -u -w1", 5678] as const]) {
    for (const ip of addressesOf(fleet[0]!)) {
      expect(await inScraper(`printf anybody | ${nc} ${ip} ${port}`)).toEndWith("\n\nanybody");
    }
  }
  for (const host of urlHosts(fleet[0]!)) {
    for (const port of ADMIN_PORTS) {
      expect(await inScraper(wget(`http://${host}:${port}/readyz`))).toStartWith("ready");
    }
  }
}

/** This machine is no Pod. Nor is the API server, which is why `kubectl get --raw .../proxy` is refused. */
async function outsidersGetTheEchoAlone(pod: Pod): Promise<void> {
  for (const host of (await nodeAddresses()).values()) {
    // A node without a server of its own does not answer (Local): the fleet has one on each of three.
    await tcpEcho({ host, port: 31234 }, "from outside");
    await udpEcho({ host, port: 31678 }, "from outside");
  }
  for (const ip of addressesOf(pod)) {
    const routed = await tcpEcho({ host: ip, port: 1234 }, "straight").catch(() => null);
    if (routed === null) say(`${ip} cannot be reached from here at all: no outsider tried its admin ports`);
  }
  for (const host of urlHosts(pod)) {
    for (const port of ADMIN_PORTS) {
      const asked = fetch(`http://${host}:${port}/livez`, {
        signal: AbortSignal.timeout(REFUSED_SECONDS * 1000),
      });
      const answer = await asked.then(
        (response) => `answered ${response.status}`,
        () => "refused",
      );
      expect(`${host} port ${port}: ${answer}`).toBe(`${host} port ${port}: refused`);
    }
  }
}

/** Default deny: a Pod that nothing names may resolve names and no more, until a label makes it a client. */
async function aPodOfTheNamespaceSpeaksToNobody(pod: Pod): Promise<void> {
  const inStranger = (script: string): Promise<string> => execIn(NAMESPACE, "stranger", script);
  expect(await inStranger(`nslookup echo-server.${NAMESPACE}.svc.cluster.local`)).toContain("Name:");
  const tries = [
    ...addressesOf(pod).flatMap((ip) => [
      `printf x | nc -w ${REFUSED_SECONDS} ${ip} 1234 | grep -q Server`,
      `printf x | nc -u -w ${REFUSED_SECONDS} ${ip} 5678 | grep -q Server`,
    ]),
    ...urlHosts(pod).flatMap((host) =>
      ADMIN_PORTS.map((port) => `${wget(`http://${host}:${port}/livez`)} 2>&1 | grep -q live`),
    ),
  ];
  const tried = (): Promise<string[]> => Promise.all(tries.map((script) => inStranger(said(script))));
  expect(await tried()).toEqual(tries.map(() => "refused\n"));
  await kubectl(["label", "pod", "stranger", "-n", NAMESPACE, "app.kubernetes.io/name=echo-client"]);
  // Each node's agent hears of the label a moment later.
  await eventually("a client that reaches the fleet", 30, async () => {
    expect(await tried()).toEqual(tries.map(() => "reached\n"));
    return true;
  });
}

/** A connection to the API server, which anybody else's Pod can have and the fleet's client cannot. */
async function theClientSpeaksToTheFleetAlone(): Promise<void> {
  const address = ["get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}"];
  const connect = said(`nc -w ${REFUSED_SECONDS} ${await kubectl(address)} 443 </dev/null`);
  expect(await execIn(ELSEWHERE, "scraper", connect)).toBe("reached\n");
  expect(await inClient(connect)).toBe("refused\n");
}
