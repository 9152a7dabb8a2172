import { UdpClient } from "./udp.ts";

/**
 * A UDP client as a process, for another network namespace: `udp-burst.ts HOST PORT SIZE COUNT` opens a session and
 * says `ready`; then, for each line on its standard input, it sends that many datagrams of one size at once, says
 * `sent`, and when all are back as they went, `echoed`.
 */
const [host, port, size, count] = process.argv.slice(2);
using client = await UdpClient.open(Number(port), { host: host! });
client.send("open");
await client.receives(2);
const datagram = Buffer.alloc(Number(size), 120);
let back = 2;
console.log("ready");
for await (const _line of console) {
  for (let at = 0; at < Number(count); at++) client.send(datagram);
  console.log("sent");
  back += Number(count);
  const received = await client.receives(back);
  if (!received.slice(-Number(count)).every((echo) => echo.equals(datagram))) throw new Error("not the echo");
  console.log("echoed");
}
