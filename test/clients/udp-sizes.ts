import { UdpClient } from "./udp.ts";

/**
 * A UDP client as a process, for another network namespace: `udp-sizes.ts HOST PORT SIZE...` opens a session, then
 * sends a datagram of each size and prints as JSON which came back as they went within WAIT_MS each.
 */
const WAIT_MS = 2000;

const [host, port, ...sizes] = process.argv.slice(2);
using client = await UdpClient.open(Number(port), { host: host! });
await client.asks("open");
const echoed: number[] = [];
for (const size of sizes.map(Number)) {
  const sent = Buffer.alloc(size, size & 127);
  client.send(sent);
  const deadline = Date.now() + WAIT_MS;
  const isBack = (): boolean => client.received.some((datagram) => datagram.equals(sent));
  while (!isBack() && Date.now() < deadline) await Bun.sleep(5);
  if (isBack()) echoed.push(size);
}
console.log(JSON.stringify(echoed));
