import { expect, test } from "bun:test";
import { bunSockets } from "../../src/client/bun/sockets.ts";
import { Failure } from "../../src/client/failure.ts";
import { closeLinuxSockets, linuxSockets } from "../../src/client/linux/sockets.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { dropsIn } from "../../src/sys/udp-drops.ts";
import { endpoint, good, SHORT_MS } from "./fixtures.ts";

/** More than a socket's buffer holds, whatever the kernel allows to root: each takes 768 bytes of it. */
const SENT = 20_000;

test.each([
  ["system calls", linuxSockets()!],
  ["Bun", bunSockets()],
])(
  "what the kernel had no room for is counted, and all else came: %s",
  async (_way, { openUdp, bySystemCalls }) => {
    await using flow = good(await UdpFlow.open(endpoint("127.0.0.1:9"), { open: openUdp }));
    expect(flow.droppedByKernel).toBe(0);
    const sender = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { error() {} } });
    let left = 0;
    // This thread reads nothing meanwhile.
    for (let sent = 0; sent < SENT; sent++) left += sender.send("x", flow.local.port, "127.0.0.1") ? 1 : 0;
    sender.close();
    let came = 0;
    while (!((await flow.receive(SHORT_MS)) instanceof Failure)) came++;
    expect(flow.droppedByKernel).toBeGreaterThan(0);
    expect(came + flow.dropped + flow.droppedByKernel!).toBe(left);
    if (!bySystemCalls) return;
    flow.end();
    expect(flow.droppedByKernel).toBe(left - came - flow.dropped); // it is known after the end, too
    closeLinuxSockets();
  },
);

test("a table's line is a port's by its local end, and nothing is said of a port that has none", () => {
  const table = [
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
    "  411: 0100007F:9C40 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 12",
    " 4110: 00000000:0035 0100007F:9C40 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 7",
    "",
  ].join("\n");
  expect(dropsIn(table, 40_000)).toEqual([12]);
  expect(dropsIn(table, 53)).toEqual([7]);
  expect(dropsIn(table, 54)).toEqual([]);
});
