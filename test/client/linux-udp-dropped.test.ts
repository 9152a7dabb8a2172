import { expect, test } from "bun:test";
import { bunSockets } from "../../src/client/bun/sockets.ts";
import { Failure } from "../../src/client/failure.ts";
import { closeLinuxSockets, linuxSockets } from "../../src/client/linux/sockets.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { endpoint, good, SHORT_MS } from "./fixtures.ts";

/** More than a socket's buffer holds, whatever the kernel allows to root: each takes 768 bytes of it. */
const SENT = 20_000;

test("what the kernel had no room for is counted, and all else came", async () => {
  await using flow = good(await UdpFlow.open(endpoint("127.0.0.1:9"), { open: linuxSockets()!.openUdp }));
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
  flow.end();
  expect(flow.droppedByKernel).toBe(left - came - flow.dropped); // it is known after the end, too
  closeLinuxSockets();
});

test("sockets that cannot say do not", async () => {
  await using flow = good(await UdpFlow.open(endpoint("127.0.0.1:9"), { open: bunSockets().openUdp }));
  expect(flow.droppedByKernel).toBeNull();
});
