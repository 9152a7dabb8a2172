/**
 * Sends datagrams that nobody asked for, until it is killed: `stranger.ts HOST PORT BYTES [BURST]`. Some tens of thousands
 * a second: loud, and not all there is. BURST (20) leave between two rests of 1 ms.
 */
const [host, port, bytes, burst = "20"] = process.argv.slice(2) as [string, string, string, string?];
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
  if (sent % Number(burst) === 0) await Bun.sleep(1);
}

export {};
