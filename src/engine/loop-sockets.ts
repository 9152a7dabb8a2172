import type { Endpoint } from "../net/endpoint.ts";
import type { Serves } from "../state/shared.ts";
import { loadLibc } from "../sys/libc.ts";
import { type BoundSocket, bindUdp, listenTcp, type Sharing } from "./bind.ts";
import type { BoundEndpoints, LoopSettings, LoopSockets } from "./loop.ts";

/**
 * Opens the sockets of all loops, each once: the first of a protocol chooses the port where any free one will do, and
 * the others join it. From then on no client is turned away: it waits for its loop.
 * @param serves what each loop serves
 * @param udpShared further sockets will join the UDP port
 * @throws StartError when an address cannot be bound; then none is open
 */
export function openSockets(
  settings: LoopSettings,
  serves: readonly Serves[],
  udpShared: boolean,
): LoopSockets[] {
  const opened: LoopSockets[] = [];
  const tcp = new Port(settings.tcpPort, serves.filter((loop) => loop.tcp).length > 1);
  const udp = new Port(settings.udpPort, udpShared || serves.filter((loop) => loop.udp).length > 1);
  try {
    for (const loop of serves) {
      const sockets = { tcp: [] as readonly BoundSocket[], udp: [] as readonly BoundSocket[] };
      opened.push(sockets);
      if (loop.tcp)
        sockets.tcp = tcp.open((port, sharing) =>
          listenTcp(settings.hosts, port, sharing, settings.tcpKeepAliveMs),
        );
      if (loop.udp) sockets.udp = udp.open((port, sharing) => bindUdp(settings.hosts, port, sharing));
    }
  } catch (error) {
    for (const sockets of opened) closeSockets(sockets);
    throw error;
  }
  return opened;
}

/** One protocol's port, which the first loop's sockets find and the others join. */
class Port {
  #port: number | null;
  #sharing: Sharing;

  constructor(port: number | null, shared: boolean) {
    this.#port = port;
    this.#sharing = shared ? "first" : "alone";
  }

  open(bind: (port: number, sharing: Sharing) => BoundSocket[]): readonly BoundSocket[] {
    if (this.#port === null) return [];
    const sockets = bind(this.#port, this.#sharing);
    this.#port = sockets[0]!.port;
    this.#sharing = "joining";
    return sockets;
  }
}

export function closeSockets({ tcp, udp }: LoopSockets): void {
  for (const { fd } of [...tcp, ...udp]) loadLibc().close(fd);
}

/** Where the loops listen: those of a protocol all at the same addresses. */
export function endpointsOfLoops(opened: readonly LoopSockets[]): BoundEndpoints {
  const of = (protocol: "tcp" | "udp"): Endpoint[] => {
    const sockets = opened.find((loop) => loop[protocol].length > 0)?.[protocol] ?? [];
    return sockets.map(({ address, port }) => ({ address, port }));
  };
  return { tcp: of("tcp"), udp: of("udp") };
}
