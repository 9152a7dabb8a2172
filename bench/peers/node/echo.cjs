// An echo as one writes it in Node: a stream piped into itself, which has its back-pressure; a datagram sent back.
// `node echo.cjs tcp PORT`, `node echo.cjs udp PORT`.
const dgram = require("node:dgram");
const net = require("node:net");

const [, , protocol, port] = process.argv;

if (protocol === "tcp") {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen({ port: Number(port), host: "0.0.0.0", backlog: 4096 });
} else {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  socket.on("message", (message, { port: peerPort, address }) => socket.send(message, peerPort, address));
  socket.bind(Number(port));
}
