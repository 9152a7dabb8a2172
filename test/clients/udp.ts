/** How long a client waits for what must come before it fails its test. */
const PATIENCE_MS = 20_000;

export interface UdpClientOptions {
  /** The server's address. Default 127.0.0.1. */
  readonly host?: string;
  /** The client's own address and port. Default: any. */
  readonly from?: string;
  readonly fromPort?: number;
}

/** A UDP client, connected: what comes from any other address than it sent to never reaches it. */
export class UdpClient implements Disposable {
  readonly received: Buffer[] = [];
  #socket: Bun.udp.ConnectedSocket<"buffer"> | null = null;
  #onProgress: (() => void)[] = [];

  static async open(port: number, options: UdpClientOptions = {}): Promise<UdpClient> {
    const { host = "127.0.0.1", from, fromPort } = options;
    const client = new UdpClient();
    client.#socket = await Bun.udpSocket({
      hostname: from ?? (host.includes(":") ? "::" : "0.0.0.0"),
      ...(fromPort === undefined ? {} : { port: fromPort }),
      connect: { hostname: host, port },
      socket: {
        data: (_socket, datagram) => {
          client.received.push(datagram);
          const waiting = client.#onProgress;
          client.#onProgress = [];
          for (const resolve of waiting) resolve();
        },
        error: () => {},
      },
    });
    return client;
  }

  /** The client's own port. */
  get port(): number {
    return this.#socket!.address.port;
  }

  /** Datagrams that came, as Latin-1 text. */
  get texts(): string[] {
    return this.received.map((datagram) => datagram.toString("latin1"));
  }

  send(data: Uint8Array | string): void {
    this.#socket!.send(data);
  }

  /** Waits until `count` datagrams have come since the client was opened. */
  async receives(count: number): Promise<Buffer[]> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.received.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
      this.#onProgress.push(resolve);
      await promise;
      clearTimeout(timer);
      if (Date.now() >= deadline && this.received.length < count) {
        throw new Error(`${this.received.length} of ${count} datagrams in ${PATIENCE_MS} ms`);
      }
    }
    return this.received;
  }

  /** Sends one datagram and waits for one more than have come so far; returns it. */
  async asks(data: Uint8Array | string): Promise<Buffer> {
    const next = this.received.length;
    this.send(data);
    return (await this.receives(next + 1))[next]!;
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
  }
}

/** Opens a session: sends `hello` and takes the banner and the echo. Returns the banner. */
export async function greet(client: UdpClient): Promise<string> {
  client.send("hello");
  const [banner, echo] = await client.receives(2);
  if (echo!.toString() !== "hello") throw new Error(`not the echo: ${echo}`);
  return banner!.toString("latin1");
}
