import type { EchoServer } from "../harness.ts";

/** Whom `watch` is pointed at by tests of its command line. */

/** Both protocols of a server on loopback. */
export function targetsOf(server: EchoServer): string[] {
  return [`tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`];
}

/** A UDP port that swallows what comes; how much that was. */
export async function silentPort(): Promise<{
  port: number;
  came: () => number;
  arrivals: number[];
  close: () => void;
}> {
  const arrivals: number[] = [];
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data() {
        arrivals.push(performance.now());
      },
    },
  });
  return { port: socket.port, came: () => arrivals.length, arrivals, close: () => socket.close() };
}
