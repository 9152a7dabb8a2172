/** Floods a UDP port of loopback from one socket: `udp-flood.ts PORT`. Ends by itself after 20 s. */

const [, , port] = process.argv;
const LIFE_MS = 20_000;

const socket = await Bun.udpSocket({
  connect: { hostname: "127.0.0.1", port: Number(port) },
  socket: { data() {}, error() {} },
});
const datagram = Buffer.alloc(64, "flood");
const endMs = performance.now() + LIFE_MS;
while (performance.now() < endMs) {
  for (let count = 0; count < 1000; count++) {
    try {
      socket.send(datagram);
    } catch {
      // The server is gone, or not there yet.
    }
  }
}
process.exit(0);

export {};
