import { BunLoop } from "../../src/engine/bun/loop.ts";
import type { LoopSettings } from "../../src/engine/loop.ts";
import { makeSharedTables } from "../../src/state/shared.ts";

/** The two servers that `overhead.ts` compares. Each prints its TCP and UDP port and serves until it is killed. */

const SETTINGS: LoopSettings = {
  hosts: ["127.0.0.1"],
  tcpPort: 0,
  udpPort: 0,
  banner: true,
  bannerFields: "",
  maxTcpSessions: 15000,
  maxTcpSessionsPerClient: 14000,
  maxUdpSessions: 65536,
  maxAdminConnections: 64,
  tcpIdleTimeoutMs: 300_000,
  tcpKeepAliveMs: 60_000,
  udpIdleTimeoutMs: 60_000,
  maxQueuedBytes: 1024 * 1024,
  proxyProtocol: "off",
  proxyTrusted: [],
  proxyTimeoutMs: 3000,
  udpBlockedSourcePorts: [7, 13, 17, 19, 37, 53, 69, 123],
  udpBannerRate: 20_000,
  udpBannerRatePerPrefix: 5000,
  udpRatePerClient: 0,
  udpAmplificationMax: 10,
  busyPollMicros: 0,
  logSessions: false,
};

/** The portable engine with everything on. */
export async function serveOurs(): Promise<void> {
  const tables = makeSharedTables(1, SETTINGS.maxTcpSessions);
  const start = { settings: SETTINGS, tables, index: 0, sockets: null };
  const loop = new BunLoop(start, {
    onListenersLeft: () => {},
    onStopped: () => {},
    onSession: null,
    onFault: console.error,
  });
  await loop.listen();
  const { bound } = loop;
  console.log(bound.tcp[0]!.port, bound.udp[0]!.port);
}

interface Bare {
  queue: Uint8Array | null;
  fin: boolean;
}

/** An echo that is correct (queue, pause and resume, half-close) and nothing else. */
export async function serveBare(): Promise<void> {
  const tcp = Bun.listen<Bare>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = { queue: null, fin: false };
      },
      data(socket, chunk) {
        const sent = socket.write(chunk);
        if (sent < chunk.length && sent >= 0) {
          socket.data.queue = chunk.subarray(sent);
          socket.pause();
        }
      },
      drain(socket) {
        const { queue, fin } = socket.data;
        if (queue === null) return;
        const sent = socket.write(queue);
        if (sent < 0) return;
        socket.data.queue = sent < queue.length ? queue.subarray(sent) : null;
        if (socket.data.queue !== null) return;
        if (fin) socket.end();
        else socket.resume();
      },
      end(socket) {
        socket.data.fin = true;
        if (socket.data.queue === null) socket.end();
      },
    },
  });
  const udp = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes, port, address) {
        try {
          socket.send(bytes, port, address);
        } catch {}
      },
      error() {},
    },
  });
  console.log(tcp.port, udp.port);
}
