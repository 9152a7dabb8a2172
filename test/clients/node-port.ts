import type { udp } from "bun";
import { sendTo } from "./send-to.ts";

/**
 * What a node does for a NodePort whose client it hides: a datagram to `port` goes on to the server from a source
 * port of the node's own, one for each client, and the answers go back from `port`. Real datagrams on real sockets;
 * only the translation is done here and not by the kernel.
 */
export class NodePort implements AsyncDisposable {
  readonly #serverPort: number;
  readonly #front: udp.Socket<"buffer">;
  readonly #flows = new Map<string, Promise<udp.ConnectedSocket<"buffer">>>();
  /** Datagrams that went on to the server. */
  forwarded = 0;

  private constructor(serverPort: number, front: udp.Socket<"buffer">) {
    this.#serverPort = serverPort;
    this.#front = front;
  }

  /** Opens one in front of a server on 127.0.0.1. */
  static async open(serverPort: number): Promise<NodePort> {
    let nodePort: NodePort | null = null;
    const front = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data: (_socket, datagram, port, address) => void nodePort?.forward(datagram, port, address),
        error: () => {},
      },
    });
    nodePort = new NodePort(serverPort, front);
    return nodePort;
  }

  get port(): number {
    return this.#front.port;
  }

  /** Sends one datagram on, as if the client had sent it to the NodePort. */
  async forward(datagram: Uint8Array, port: number, address: string): Promise<void> {
    const key = `${address}:${port}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = this.#open(port, address);
      this.#flows.set(key, flow);
    }
    const socket = await flow;
    if (socket.closed) return;
    this.forwarded++;
    socket.send(datagram);
  }

  #open(port: number, address: string): Promise<udp.ConnectedSocket<"buffer">> {
    return Bun.udpSocket({
      hostname: "127.0.0.1",
      connect: { hostname: "127.0.0.1", port: this.#serverPort },
      socket: {
        data: (_socket, answer) => {
          sendTo(this.#front, answer, port, address);
        },
        error: () => {},
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#front.close();
    for (const flow of this.#flows.values()) (await flow).close();
  }
}
