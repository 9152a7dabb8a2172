import { expect, test } from "bun:test";
import { inClient, kubectl, NAMESPACE, nodeAddresses, pods } from "./kubectl.ts";
import { addressOf, parseBanner, tcpEcho, udpEcho } from "./net.ts";
import { eventually, say } from "./shell.ts";

const PROTOCOLS = [
  ["nc -w1", 1234],
  ["nc -u -w1", 5678],
] as const;

/** The `dual-stack` component at work. Expects it on a running fleet with NodePort and client. */
export function dualStackTests(): void {
  test("dual stack: banner, names, Services and NodePorts by IPv6", async () => {
    const fleet = await pods("app.kubernetes.io/component=server");
    if (fleet.some(({ ip6 }) => ip6 === "")) {
      say("the cluster's Pods have no IPv6 address: nothing of the two families is tested");
      return;
    }
    const client = (await pods("app.kubernetes.io/name=echo-client"))[0]!;
    for (const { instance, ip, ip6 } of fleet) {
      const names = await inClient(`nslookup ${instance}.headless.${NAMESPACE}.svc.cluster.local`);
      expect(names).toContain(ip);
      expect(names).toContain(ip6);
      for (const [nc, port] of PROTOCOLS) {
        const text = await inClient(`printf six | ${nc} ${ip6} ${port}`);
        const banner = parseBanner(text)!;
        expect(banner.server).toBe(`[${ip6}]:${port}`);
        expect(addressOf(banner.client)).toBe(`[${client.ip6}]`);
        expect(text.slice(banner.length)).toBe("six");
      }
    }
    await servicesAnswer();
    await nodePortsAnswer(new Map(fleet.map(({ node, ip6 }) => [node, ip6])));
  });
}

/** Every Service with an address of its own has one of each family, and both lead to a server. */
async function servicesAnswer(): Promise<void> {
  const path = "{range .items[*]}{.metadata.name} {.spec.clusterIPs}{'\\n'}{end}";
  const lines = (await kubectl(["get", "services", "-n", NAMESPACE, "-o", `jsonpath=${path}`]))
    .trim()
    .split("\n");
  for (const [name, list] of lines.map((line) => line.split(" ") as [string, string])) {
    if (list === '["None"]') continue;
    const addresses = JSON.parse(list) as string[];
    expect([name, addresses.length]).toEqual([name, 2]);
    if (name !== "echo-server") continue;
    const address = addresses.find((each) => each.includes(":"))!;
    for (const [nc, port] of PROTOCOLS) {
      const text = await inClient(`printf six | ${nc} ${address} ${port}`);
      const banner = parseBanner(text)!;
      expect(banner.server.startsWith("[")).toBe(true);
      expect(text.slice(banner.length)).toBe("six");
    }
  }
}

/** From outside, each node by its own server, which sees the real client. */
async function nodePortsAnswer(ip6OfNode: ReadonlyMap<string, string>): Promise<void> {
  for (const [node, host] of await nodeAddresses("IPv6")) {
    const ip6 = ip6OfNode.get(node);
    if (ip6 === undefined) continue;
    const tcp = await eventually("an answer by TCP", 10, () => tcpEcho({ host, port: 31234 }, "six"));
    expect(tcp.server).toBe(`[${ip6}]:1234`);
    expect(addressOf(tcp.client)).toBe(`[${tcp.from}]`);
    const udp = await eventually("an answer by UDP", 10, () => udpEcho({ host, port: 31678 }, "six"));
    expect(udp.server).toBe(`[${ip6}]:5678`);
    expect(addressOf(udp.client)).toBe(`[${tcp.from}]`);
  }
}
