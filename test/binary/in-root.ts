import { TcpClient } from "../clients/tcp.ts";
import { run, startServer } from "../harness.ts";

/**
 * For `image-root.test.ts`, in namespaces of its own: runs the binary in a root that has nothing but what the image has,
 * beside a name server that knows one address, and prints what was seen.
 * Usage: bun test/binary/in-root.ts ROOT ADDRESS
 */

const [root, address] = process.argv.slice(2) as [string, string];

/** Answers every question for an IPv4 address of the cluster with that one, and all others with nothing. */
const names = await Bun.udpSocket({
  hostname: "127.0.0.1",
  port: 53,
  socket: {
    data(socket, query, port, from) {
      let end = 12;
      while (query[end] !== 0) end += query[end]! + 1;
      const isAddress = query.readUInt16BE(end + 1) === 1;
      const answer = Buffer.from(query.subarray(0, end + 5));
      answer.writeUInt16BE(0x8580, 2);
      answer.writeUInt16BE(isAddress ? 1 : 0, 6);
      answer.fill(0, 8, 12);
      const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...address.split(".").map(Number)];
      socket.send(isAddress ? Buffer.concat([answer, Buffer.from(record)]) : answer, port, from);
    },
  },
});

const command = ["chroot", "--userspec=65532:65532", root, "/usr/local/bin/echo-server"];
const env = { KUBERNETES_SERVICE_HOST: "10.96.0.1" };
await using server = await startServer([], { command, env });
using client = await TcpClient.connect(server.tcpPort);
const echo = await client.echoes("in an empty house");
client.halfClose();
await client.ended;
const page = await (await server.fetch("/")).text();
const health = await run(["health", "--admin-port", String(server.adminPort)], { command });
const targets = [`tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`];
const check = await run(["check", "--json", "--engine", "linux", "--flows", "2", ...targets], { command });
const { exitCode } = await server.stop();
names.close();
console.log(
  JSON.stringify({
    echo,
    named: page.includes(address),
    health: health.stdout,
    checked: check.exitCode,
    exitCode,
  }),
);
