import { until } from "../harness.ts";

/** A raw HTTP client: it sends the bytes it is told to, and says what came back and how it ended. */
export class RawHttp implements Disposable {
  received = "";
  /** How the connection ended; null while it has not. */
  ending: "fin" | "reset" | null = null;
  #socket!: Bun.Socket;
  #unsent = Buffer.alloc(0);

  private constructor() {}

  static async connect(port: number, options: { stalled?: boolean; host?: string } = {}): Promise<RawHttp> {
    const client = new RawHttp();
    client.#socket = await Bun.connect({
      hostname: options.host ?? "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          if (options.stalled) socket.pause();
        },
        data: (_socket, chunk) => {
          client.received += chunk.toString("latin1");
        },
        drain: () => client.#pump(),
        end: (socket) => {
          client.ending ??= "fin";
          socket.end();
        },
        close: (_socket, error) => {
          client.ending ??= error === undefined ? "fin" : "reset";
        },
        error: () => {},
      },
    });
    return client;
  }

  send(text: string): this {
    this.#unsent = Buffer.concat([this.#unsent, Buffer.from(text, "latin1")]);
    this.#pump();
    return this;
  }

  /** Reads from now on, where it was stalled. */
  resume(): this {
    this.#socket.resume();
    return this;
  }

  halfClose(): this {
    this.#socket.shutdown();
    return this;
  }

  /** Waits until the server has ended the connection, and returns all that came. */
  async toEnd(): Promise<string> {
    await until("the server ends the connection", () => this.ending !== null);
    return this.received;
  }

  /** Waits for so many answers, of which only those that end with a line feed can be told. */
  async answers(count: number): Promise<string> {
    await until(`${count} answers: ${this.received}`, () => statuses(this.received).length >= count);
    return this.received;
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }

  #pump(): void {
    if (this.#unsent.length === 0) return;
    const sent = this.#socket.write(this.#unsent);
    if (sent >= 0) this.#unsent = this.#unsent.subarray(sent);
    else this.ending ??= "reset"; // a write met it: Bun would tell of an end, and of a socket that is paused nothing
  }
}

/** The statuses of all answers in what came. */
export function statuses(received: string): number[] {
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}
