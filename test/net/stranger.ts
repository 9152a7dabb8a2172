/**
 * Sends datagrams that nobody asked for, until it is killed: `stranger.ts HOST PORT BYTES`. Some tens of thousands
 * a second: loud, and not all there is.
 */
const [host, port, bytes] = process.argv.slice(2) as [string, string, string];
const socket = await Bun.udpSocket({
  connect: { hostname: host, port: Number(port) },
  socket: { error() {} },
});
const garbage = crypto.getRandomValues(new Uint8Array(Number(bytes)));
for (let sent = 1; ; sent++) {
  try {
    socket.send(garbage);
  } catch {
    // The port is not there yet, or no more: ICMP says so, and it goes on.
  }
  if (sent % 20 === 0) await Bun.sleep(1);
}

export {};
