import { sendTo } from "../clients/send-to.ts";
import type { Ports } from "./probe-fixtures.ts";

/** Peers that are not what they should be. */

export interface Relay extends Disposable {
  /** From then on it drops the flows that it has, and takes new ones: as stale entries on a path do. */
  stick(): void;
}

/** One in front of another server: whoever asks it is answered by that one, in its words. */
export async function relayTo(server: string, at: string, { tcpPort, udpPort }: Ports): Promise<Relay> {
  const backs = new Map<Bun.Socket<undefined>, Promise<Bun.Socket<undefined>>>();
  const tcp = Bun.listen<undefined>({
    hostname: at,
    port: tcpPort,
    socket: {
      open(front) {
        const back = Bun.connect<undefined>({
          hostname: server,
          port: tcpPort,
          socket: {
            data: (_back, bytes) => void front.write(bytes),
            close: () => front.terminate(),
          },
        });
        backs.set(front, back);
      },
      data: async (front, bytes) => void (await backs.get(front))?.write(bytes),
      close: async (front) => void (await backs.get(front))?.terminate(),
      error() {},
    },
  });
  const flows = new Map<number, Bun.udp.ConnectedSocket<"buffer">>();
  const stuck = new Set<number>();
  const udp = await Bun.udpSocket({
    hostname: at,
    port: udpPort,
    socket: {
      async data(front, bytes, port, host) {
        const back =
          flows.get(port) ?? (await flowTo(server, udpPort, (echo) => sendTo(front, echo, port, host)));
        flows.set(port, back);
        if (!stuck.has(port)) back.send(bytes);
      },
      error() {},
    },
  });
  return {
    stick() {
      for (const port of flows.keys()) stuck.add(port);
    },
    [Symbol.dispose]() {
      tcp.stop(true);
      udp.close();
      for (const back of flows.values()) back.close();
    },
  };
}

function flowTo(
  hostname: string,
  port: number,
  came: (bytes: Uint8Array) => void,
): Promise<Bun.udp.ConnectedSocket<"buffer">> {
  return Bun.udpSocket({
    connect: { hostname, port },
    socket: { data: (_own, bytes) => came(bytes), error() {} },
  });
}

/** A datagram that came. */
interface Arrival {
  readonly fromPort: number;
  readonly atMs: number;
}

export interface Mute extends Disposable {
  readonly arrivals: readonly Arrival[];
}

/** A UDP port that swallows all. */
export async function muteAt(hostname: string, port: number): Promise<Mute> {
  const arrivals: Arrival[] = [];
  const socket = await Bun.udpSocket({
    ...{ hostname, port },
    socket: {
      data: (_own, _bytes, fromPort) => void arrivals.push({ fromPort, atMs: performance.now() }),
      error() {},
    },
  });
  return { arrivals, [Symbol.dispose]: () => socket.close() };
}
