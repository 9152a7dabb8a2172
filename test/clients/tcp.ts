/**
 * A TCP client that does one thing at a time and says what it saw: it keeps every byte, knows how its session
 * ended, and can half-close, reset, stall and choose its own address.
 */
export interface TcpClientOptions {
  /** The server's address. Default 127.0.0.1. */
  readonly host?: string;
  /** The client's own address. */
  readonly from?: string;
  /** Its own port. Default: any. */
  readonly fromPort?: number;
  /** Read nothing until `resume`. */
  readonly stalled?: boolean;
  /** Count the bytes that come without keeping them. */
  readonly countOnly?: boolean;
  /** TLS, naming this host; whatever certificate comes is good. Read the banner before you send. */
  readonly tlsName?: string;
}

/** How a session ended: the server's FIN, a reset, or not at all because there never was one. */
export type Ending = "fin" | "reset" | "refused";

/** How long a client waits for what must come before it fails its test. */
const PATIENCE_MS = 20_000;

const EMPTY_LINE = Buffer.from("\n\n");

export class TcpClient implements Disposable {
  bytesReceived = 0;
  bytesSent = 0;
  /** When the session ended, by `performance.now()`; 0 before. */
  endedMs = 0;
  ending: Ending | null = null;
  /** Resolves at the session's end. */
  readonly ended: Promise<Ending>;
  #resolveEnded: (ending: Ending) => void;
  readonly #chunks: Buffer[] = [];
  readonly #countOnly: boolean;
  #whole: Buffer = Buffer.alloc(0);
  readonly #unsent: Uint8Array[] = [];
  #finishing = false;
  /** A write met the other end's reset. Bun then tells of an end, and of a socket that is paused nothing. */
  #broken = false;
  #socket: Bun.Socket | null = null;
  #onProgress: (() => void)[] = [];

  private constructor(countOnly: boolean) {
    this.#countOnly = countOnly;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#resolveEnded = resolve;
  }

  /** Connects. A refusal is not thrown: it is how the session ends. */
  static async connect(port: number, options: TcpClientOptions = {}): Promise<TcpClient> {
    const { host = "127.0.0.1", from, fromPort, stalled = false, countOnly = false, tlsName } = options;
    const client = new TcpClient(countOnly);
    const place: { localAddress?: string; localPort?: number } = {
      ...(from === undefined ? {} : { localAddress: from }),
      ...(fromPort === undefined ? {} : { localPort: fromPort }),
    };
    try {
      await Bun.connect({
        hostname: host,
        port,
        allowHalfOpen: true,
        ...place,
        ...(tlsName !== undefined && { tls: { serverName: tlsName, rejectUnauthorized: false } }),
        socket: {
          open: (socket) => {
            client.#socket = socket;
            if (stalled) socket.pause();
          },
          data: (_socket, chunk) => client.#take(chunk),
          drain: () => client.#pump(),
          end: () => client.#end(client.#broken ? "reset" : "fin"),
          close: (_socket, error) => client.#end(error === undefined && !client.#broken ? "fin" : "reset"),
          error: () => {},
        },
      });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      if (code !== "ECONNREFUSED" && code !== "ECONNRESET") throw error;
      client.#end(code === "ECONNRESET" ? "reset" : "refused");
    }
    return client;
  }

  /** The client's own port. */
  get port(): number {
    return this.#socket!.localPort;
  }

  /** All that came. */
  get received(): Buffer {
    if (this.#chunks.length > 0) this.#whole = Buffer.concat([this.#whole, ...this.#chunks.splice(0)]);
    return this.#whole;
  }

  /** The banner with its empty line; null while it is not complete. */
  get banner(): string | null {
    const end = this.received.indexOf(EMPTY_LINE);
    return end === -1 ? null : this.received.toString("latin1", 0, end + 2);
  }

  /** What came after the banner. */
  get body(): Buffer {
    return this.received.subarray(this.banner?.length ?? this.received.length);
  }

  /** Hands bytes over, to be sent as the kernel takes them. */
  send(data: Uint8Array | string): void {
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    if (bytes.length > 0) this.#unsent.push(bytes);
    this.#pump();
  }

  /** Resolves when all that was handed over is in the kernel. */
  async flushed(): Promise<void> {
    await this.#until("all is sent", () => this.#unsent.length === 0);
  }

  /** Sends FIN after all that was handed over, and goes on reading. */
  halfClose(): void {
    this.#finishing = true;
    this.#pump();
  }

  /** Resets the connection. */
  reset(): void {
    this.#socket?.terminate();
  }

  stall(): void {
    this.#socket!.pause();
  }

  resume(): void {
    this.#socket!.resume();
  }

  async greeted(): Promise<string> {
    await this.#until("the banner", () => this.banner !== null);
    return this.banner!;
  }

  /** Waits for that many bytes of all, banner included. */
  async receivedBytes(length: number): Promise<void> {
    await this.#until(`${length} bytes`, () => this.bytesReceived >= length);
  }

  /** Waits for that many bytes after the banner, and returns all that came after it. */
  async echoed(length: number): Promise<Buffer> {
    await this.#until(`${length} bytes of echo`, () => this.banner !== null && this.body.length >= length);
    return this.body;
  }

  /** Sends a word after the banner and waits until it has come back; false if the session ended instead. */
  async echoes(word: string): Promise<boolean> {
    await this.#until("the banner", () => this.ending !== null || this.banner !== null);
    if (this.ending !== null) return false;
    const wanted = this.bytesReceived + word.length;
    this.send(word);
    await this.#until(`the echo of ${word}`, () => this.ending !== null || this.bytesReceived >= wanted);
    return this.ending === null && this.received.toString("latin1").endsWith(word);
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
  }

  #take(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    if (!this.#countOnly) this.#chunks.push(chunk);
    this.#notify();
  }

  #pump(): void {
    const socket = this.#socket!;
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!;
      const sent = socket.write(bytes);
      if (sent < 0) {
        this.#broken = true;
        socket.resume();
        break;
      }
      this.bytesSent += sent;
      if (sent < bytes.length) {
        this.#unsent[0] = bytes.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#finishing) {
      this.#finishing = false;
      socket.shutdown();
    }
    this.#notify();
  }

  #end(ending: Ending): void {
    if (this.ending !== null) return;
    this.ending = ending;
    this.endedMs = performance.now();
    if (ending === "fin") this.#socket?.end();
    this.#resolveEnded(ending);
    this.#notify();
  }

  #notify(): void {
    const waiting = this.#onProgress;
    this.#onProgress = [];
    for (const resolve of waiting) resolve();
  }

  /** Waits until that holds. @throws when it did not in time, or the session ended before */
  async #until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!holds()) {
      if (this.ending !== null) throw new Error(`ended (${this.ending}) before ${what}: ${this.#soFar()}`);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(true), Math.max(0, deadline - Date.now()));
      this.#onProgress.push(() => resolve(false));
      const late = await promise;
      clearTimeout(timer);
      if (late && !holds()) throw new Error(`not in ${PATIENCE_MS} ms: ${what}: ${this.#soFar()}`);
    }
  }

  #soFar(): string {
    return `${this.bytesSent} bytes sent, ${this.bytesReceived} received`;
  }
}

/** Connects many at once; none has failed to connect, though some may be refused right after. */
export function connectMany(
  port: number,
  count: number,
  options: TcpClientOptions = {},
): Promise<TcpClient[]> {
  return Promise.all(Array.from({ length: count }, () => TcpClient.connect(port, options)));
}

/** Ends all of them. */
export function disposeAll(clients: readonly Disposable[]): void {
  for (const client of clients) client[Symbol.dispose]();
}

/** The lines of a banner, by name; the first is `Date`. @throws when it is not laid out as banners are */
export function parseBanner(banner: string): Record<string, string> {
  if (!banner.endsWith("\n\n")) throw new Error(`no empty line at the end of ${JSON.stringify(banner)}`);
  const [date, ...lines] = banner.slice(0, -2).split("\n");
  const named = lines.map((line) => {
    const [, name, value] = /^([A-Z][a-z]+): (.+)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`no line of a banner: ${JSON.stringify(line)}`);
    return [name, value!] as const;
  });
  return { Date: date!, ...Object.fromEntries(named) };
}
