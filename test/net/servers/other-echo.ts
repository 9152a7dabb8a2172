import { sendTo } from "../../clients/send-to.ts";

/**
 * An echo of another kind than ours: UDP sockets as Linux makes them, which set don't-fragment on all that fits their link, and
 * heed ICMP. `bun other-echo.ts ADDRESS PORT [banner]`: with a banner before the first echo of a session, or without.
 */

const [hostname, port, greets] = process.argv.slice(2) as [string, string, string | undefined];
const seen = new Set<string>();

const inBrackets = (address: string): string => (address.includes(":") ? `[${address}]` : address);

await Bun.udpSocket({
  hostname,
  port: Number(port),
  socket: {
    data(socket, bytes, fromPort, from) {
      const client = `${inBrackets(from)}:${fromPort}`;
      const ends = `Server: ${inBrackets(hostname)}:${port}\nClient: ${client}`;
      if (greets !== undefined && !seen.has(client)) {
        seen.add(client);
        sendTo(socket, `Thu Nov 26 01:02:03 UTC 2026\n${ends}\n\n`, fromPort, from);
      }
      sendTo(socket, bytes, fromPort, from);
    },
    error() {}, // ICMP says what the kernel heeds by itself
  },
});
