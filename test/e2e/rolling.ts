import { expect, test } from "bun:test";
import type { Renderer } from "../k8s/render.ts";
import { fleetReady, kubectl, nodeAddresses, type Pod, rolledOut } from "./kubectl.ts";
import { Stopwatch, say } from "./shell.ts";
import { Traffic } from "./traffic.ts";
import { udpFiguresOf } from "./udp-figures.ts";

const SESSIONS = 200;

/**
 * New UDP sessions, of a thousand, whose banner was lost or overtaken on its way: UDP may do that to any datagram, and
 * rarely does. Of 100,000 from ports that nobody had before, through 22 rolls on two busy cores, none was. One in a run
 * was seen three times in some fifty runs, from ports that the system chose: as it is where somebody had the port a
 * minute ago. That no server held a banner back is known by its own figures.
 */
const STRAY_BANNERS_MAX = 2;

/** A new image under load. Expects dev with NodePort to be there, one server on each node. */
export function rollingTests(renderer: () => Renderer): void {
  test("a rolling change of the image fails no new session, and ends the old ones with a clean FIN", async () => {
    const before = await fleetReady(30);
    const nodes = await nodeAddresses();
    await using traffic = await Traffic.start(
      before.map(({ node }) => nodes.get(node)!),
      SESSIONS,
    );
    const watch = new Stopwatch();
    await kubectl(["apply", "-k", await renderer().folder({ path: "overlays/dev-nodeport", tag: "next" })]);
    await rolledOut(120);
    say(`a rolling change of three servers under load took ${watch}`);
    const report = await traffic.finish();
    say(
      `new sessions: ${report.newTcp} TCP and ${report.newUdp} UDP by NodePort, ${report.inside} of each inside`,
    );
    say(
      `failed: ${report.tcpFailures.length} TCP, ${report.udpFailures.length} UDP; ${report.newUdpAstray} UDP answered from a Pod's own address`,
    );
    say(`held sessions ended by ${JSON.stringify(report.endings)}`);
    say(
      `UDP streams: ${report.datagramsLost} of ${report.datagramsSent} datagrams lost, ${report.datagramsAstray} echoed from a Pod's own address`,
    );
    say(`packets that this machine dropped meanwhile: ${report.droppedHere}`);
    for (const line of [...report.newUdpOvertaken, ...report.newUdpUnannounced]) say(`UDP: ${line}`);

    expect(report.tcpFailures).toEqual([]);
    // A datagram may be lost where the machine itself is overrun by something else; a TCP session may not.
    if (report.udpFailures.length > report.droppedHere) expect(report.udpFailures).toEqual([]);
    if (report.datagramsLost > report.droppedHere) expect(report.datagramsLost).toBe(0);
    expect(Math.min(report.newTcp, report.newUdp)).toBeGreaterThan(100);
    expect(report.inside).toBeGreaterThan(20);
    expect(report.endings).toEqual({ fin: SESSIONS });
    expect(report.wrong).toEqual([]);
    const stray = [...report.newUdpOvertaken, ...report.newUdpUnannounced];
    if (stray.length > STRAY_BANNERS_MAX) expect(stray).toEqual([]);
    const place = ({ instance, node }: Pod): string => `${instance} on ${node}`;
    const after = await fleetReady(30);
    expect(after.map(place).sort()).toEqual(before.map(place).sort());
    for (const server of after) await eachSessionHadItsBanner(server);
  });
}

/** As the server itself has counted it, since it began. */
async function eachSessionHadItsBanner(server: Pod): Promise<void> {
  const { opened, banners, withheld } = await udpFiguresOf(server);
  expect(withheld).toEqual({ suppressed: 0, sessionless: 0, notSent: 0 });
  expect(banners).toBe(opened);
  expect(opened).toBeGreaterThan(0);
}
