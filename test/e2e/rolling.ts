import { expect, test } from "bun:test";
import type { Renderer } from "../k8s/render.ts";
import { fleetReady, inClient, kubectl, nodeAddresses, rolledOut } from "./kubectl.ts";
import { type Closable, DatagramStream, HeldSession, Newcomers, tcpEcho, udpEcho } from "./net.ts";
import { eventually, Stopwatch, say } from "./shell.ts";

const SESSIONS = 200;

/** Newcomers through the Service inside the cluster, four at a time, for as long as the change takes. */
const INSIDE = `
end=$(($(date +%s) + 40))
newcomers() {
  n=0; bad=0
  while [ $(date +%s) -lt $end ]; do
    n=$((n + 1))
    case $(printf "new $n" | nc -w1 echo-server 1234) in *"new $n") ;; *) bad=$((bad + 1)) ;; esac
    case $(printf "new $n" | nc -u -w1 echo-server 5678) in *"new $n") ;; *) bad=$((bad + 1)) ;; esac
  done
  echo $n $bad
}
for each in 1 2 3 4; do newcomers & done
wait`;

/** A new image under load. Expects dev with NodePort to be there, one server on each node. */
export function rollingTests(renderer: () => Renderer): void {
  test("a rolling change of the image fails no new session, and ends the old ones with a clean FIN", async () => {
    const before = await fleetReady(30);
    const nodes = await nodeAddresses();
    const hosts = before.map(({ node }) => nodes.get(node)!);
    const tcp = hosts.map((host) => ({ host, port: 31234 }));
    const udp = hosts.map((host) => ({ host, port: 31678 }));
    const held = await Promise.all(
      Array.from({ length: SESSIONS }, (_, at) => HeldSession.open(tcp[at % tcp.length]!, 200)),
    );
    const streams = await Promise.all(udp.map((endpoint) => DatagramStream.start(endpoint, 20)));
    const udpSockets: Closable[] = [];
    const newTcp = new Newcomers(tcp, tcpEcho, 20);
    const newUdp = new Newcomers(udp, (endpoint, payload) => udpEcho(endpoint, payload, udpSockets), 20);
    const inside = inClient(INSIDE);
    try {
      await eventually("an echo in each session and stream", 10, async () =>
        held.every(({ echoed }) => echoed > 0) && streams.every(({ alive }) => alive) ? true : null,
      );
      const watch = new Stopwatch();
      await kubectl(["apply", "-k", await renderer().folder({ path: "overlays/dev-nodeport", tag: "next" })]);
      await rolledOut(120);
      say(`a rolling change of three servers under load took ${watch}`);
      await eventually("the end of every held session", 20, async () =>
        held.every(({ ending }) => ending !== "open") ? true : null,
      );
      await eventually("the streams at the new servers", 10, async () =>
        streams.every(({ alive }) => alive) ? true : null,
      );
      await Promise.all([newTcp.stop(), newUdp.stop()]);
      const insides = (await inside)
        .trim()
        .split("\n")
        .map((line) => line.split(" ").map(Number));
      const [insideCount, insideFailures] = [0, 1].map((column) =>
        insides.reduce((sum, row) => sum + row[column]!, 0),
      );
      const endings = Object.groupBy(held, ({ ending }) => ending);
      say(
        `new sessions: ${newTcp.opened} TCP, ${newUdp.opened} UDP by NodePort, ${2 * insideCount!} inside; failed: ${newTcp.failures.length}, ${newUdp.failures.length}, ${insideFailures}`,
      );
      say(`held sessions: ${Object.entries(endings).map(([how, those]) => `${those.length} ${how}`)}`);
      const [lost, sent] = [
        streams.reduce((sum, each) => sum + each.lost, 0),
        streams.reduce((sum, each) => sum + each.sent, 0),
      ];
      say(`UDP streams: ${lost} of ${sent} datagrams lost; banners ${streams.map(({ banners }) => banners)}`);
      expect(newTcp.failures).toEqual([]);
      expect(newUdp.failures).toEqual([]);
      expect(insideFailures).toBe(0);
      expect(insideCount).toBeGreaterThan(20);
      expect(endings.fin).toHaveLength(SESSIONS);
      expect(held.filter(({ wrong }) => wrong !== null)).toEqual([]);
    } finally {
      for (const each of [...held, ...udpSockets, ...streams]) each.close();
      await Promise.all([newTcp.stop(), newUdp.stop(), inside.catch(() => {})]);
    }
    const after = await fleetReady(30);
    const place = ({ instance, node }: { instance: string; node: string }): string =>
      `${instance} on ${node}`;
    expect(after.map(place).sort()).toEqual(before.map(place).sort());
  });
}
