/** Clients of the echo server, as strict as one can be: every byte that comes back is looked at. */

/** No answer within this time is a failure: a lost SYN alone costs a second. */
const PATIENCE_MS = 5000;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What the server said of a session, and where its payload begins. */
export interface Banner {
  readonly server: string;
  readonly client: string;
  readonly via: string | null;
  readonly length: number;
}

/** A banner, and the address that the client had on this machine. */
export interface Answer extends Banner {
  readonly from: string;
}

const BANNER =
  /^\w{3} \w{3} \d{1,2} \d\d:\d\d:\d\d UTC \d{4}\nServer: (\S+)\nClient: (\S+)\n(?:Via: (\S+)\n)?(?:(?:Pod|Node|Namespace): \S+\n)*\n/;

/** The banner at the start of a text, or null while it is not whole. */
export function parseBanner(text: string): Banner | null {
  const match = BANNER.exec(text);
  if (match === null) return null;
  return { server: match[1]!, client: match[2]!, via: match[3] ?? null, length: match[0].length };
}

/** The address of `ip:port`. */
export function addressOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":"));
}

/**
 * One short TCP session: connects, sends, reads banner and echo, closes.
 * @param header goes before the payload and is not echoed (a PROXY header)
 * @throws when anything else than the banner and the exact echo comes, or nothing in time
 */
export async function tcpEcho({ host, port }: Endpoint, payload: string, header = ""): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Banner>();
  const timer = setTimeout(
    () => reject(new Error(`no echo from ${host}:${port} in time; got: ${text}`)),
    PATIENCE_MS,
  );
  let text = "";
  const connecting = Bun.connect({
    hostname: host,
    port,
    socket: {
      open: (socket) => void socket.write(header + payload),
      data(_, data) {
        text += data.toString("latin1");
        const banner = parseBanner(text);
        if (banner === null || text.length < banner.length + payload.length) return;
        if (text.slice(banner.length) === payload) resolve(banner);
        else reject(new Error(`not the echo of ${payload}: ${text.slice(banner.length)}`));
      },
      close: () => reject(new Error(`${host}:${port} closed; got: ${text}`)),
      error: (_, error) => reject(error),
      connectError: (_, error) => reject(error),
    },
  });
  try {
    const banner = await promise;
    return { ...banner, from: (await connecting).localAddress };
  } finally {
    clearTimeout(timer);
    await connecting.then(
      (socket) => socket.end(),
      () => {}, // told by connectError
    );
  }
}

/** An answer from another address than was asked, as `DatagramStream` tells. */
export class AstrayEcho extends Error {}

/**
 * One new UDP session: a datagram from a port of its own, the banner, the echo.
 * @param held keeps the socket, to be closed by its owner: a port that is given back comes again with another socket,
 *   and that one's first datagram is then none of a new session
 * @throws when anything else comes, or not both in time
 */
export async function udpEcho({ host, port }: Endpoint, payload: string, held?: Closable[]): Promise<Banner> {
  const { promise, resolve, reject } = Promise.withResolvers<Banner>();
  const got: string[] = [];
  const socket = await Bun.udpSocket({
    hostname: host.includes(":") ? "::" : "0.0.0.0",
    socket: {
      data(_, data, fromPort, from) {
        got.push(data.toString("latin1"));
        if (from !== host || fromPort !== port) {
          reject(new AstrayEcho(`from ${from}:${fromPort} in place of ${host}:${port}: ${got}`));
        }
        if (got.length < 2) return;
        const banner = parseBanner(got[0]!);
        if (banner?.length === got[0]!.length && got[1] === payload) resolve(banner);
        else reject(new Error(`neither banner nor echo: ${got}`));
      },
      error: reject,
    },
  });
  held?.push(socket);
  const timer = setTimeout(
    () => reject(new Error(`no banner and echo from ${host}:${port} to port ${socket.port}; got: ${got}`)),
    PATIENCE_MS,
  );
  try {
    socket.send(payload, port, host);
    return await promise;
  } finally {
    clearTimeout(timer);
    if (held === undefined) socket.close();
  }
}

export interface Closable {
  close(): void;
}

/** How a session that was held open came to its end. */
export type Ending = "open" | "fin" | "reset";

/** A TCP session that is held open: it sends a line, waits for its echo, and so on, until the server ends it. */
export class HeldSession {
  ending: Ending = "open";
  /** Lines whose echo came back whole. */
  echoed = 0;
  /** What came that should not have; null when nothing did. */
  wrong: string | null = null;
  readonly ended: Promise<void>;
  #text = "";
  #bannerSeen = false;
  #socket: Bun.Socket | null = null;
  readonly #pauseMs: number;

  private constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = (how) => {
      if (this.ending === "open") this.ending = how;
      resolve();
    };
  }

  readonly #end: (how: Ending) => void;

  /** @param pauseMs between an echo and the next line */
  static async open({ host, port }: Endpoint, pauseMs: number): Promise<HeldSession> {
    const session = new HeldSession(pauseMs);
    session.#socket = await Bun.connect({
      hostname: host,
      port,
      socket: {
        data: (_, data) => session.#take(data.toString("latin1")),
        end(socket) {
          session.#end("fin");
          socket.end();
        },
        close: (_, error) => session.#end(error ? "reset" : "fin"),
        error: () => session.#end("reset"),
      },
    });
    session.#send();
    return session;
  }

  close(): void {
    this.#socket?.end();
  }

  #line(): string {
    return `line ${this.echoed}\n`;
  }

  #send(): void {
    if (this.ending === "open") this.#socket!.write(this.#line());
  }

  #take(data: string): void {
    this.#text += data;
    if (!this.#bannerSeen) {
      const banner = parseBanner(this.#text);
      if (banner === null) return;
      this.#bannerSeen = true;
      this.#text = this.#text.slice(banner.length);
    }
    const line = this.#line();
    if (this.#text.length < line.length) return;
    if (this.#text !== line) this.wrong ??= `${this.#text} for ${line}`;
    this.#text = "";
    this.echoed++;
    setTimeout(() => this.#send(), this.#pauseMs);
  }
}

/**
 * A UDP flow from one port: a numbered datagram every `everyMs`, and a count of those that came back.
 *
 * When a Pod leaves, kube-proxy ends the translation of the flows it has (conntrack) so that they find another Pod. The
 * echo of a datagram that is inside the Pod in that moment then leaves the node as it is: from the Pod's own address,
 * which a connected socket, any `nc -u`, does not take. The server has answered it, and can do nothing about it. This
 * socket is not connected, so it sees such an echo come astray and tells it from one that never came.
 */
export class DatagramStream {
  sent = 0;
  banners = 0;
  /** Echoes that came from another address than was asked. */
  astray = 0;
  readonly #to: Endpoint;
  readonly #echoed = new Set<number>();
  #socket: Bun.udp.Socket<"buffer"> | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;

  private constructor(to: Endpoint) {
    this.#to = to;
  }

  static async start(to: Endpoint, everyMs: number): Promise<DatagramStream> {
    const stream = new DatagramStream(to);
    stream.#socket = await Bun.udpSocket({
      socket: {
        data(_, data, port, address) {
          const text = data.toString("latin1");
          if (parseBanner(text) !== null) {
            stream.banners++;
            return;
          }
          if (port !== to.port || address !== to.host) stream.astray++;
          stream.#echoed.add(Number(text));
        },
        error() {}, // a port unreachable from a Pod that has gone: the count tells
      },
    });
    stream.#timer = setInterval(() => stream.#send(), everyMs);
    return stream;
  }

  /** Those that came back from nowhere at all. */
  get lost(): number {
    return this.sent - this.#echoed.size;
  }

  /** Whether the latest datagrams come back. */
  get alive(): boolean {
    return this.#echoed.has(this.sent - 5);
  }

  /** Sends no more, and waits for what is on its way: until all is back, or for `seconds`. */
  async stop(seconds: number): Promise<void> {
    clearInterval(this.#timer ?? undefined);
    const until = performance.now() + seconds * 1000;
    while (this.lost > 0 && performance.now() < until) await Bun.sleep(10);
  }

  close(): void {
    clearInterval(this.#timer ?? undefined);
    this.#socket?.close();
  }

  #send(): void {
    this.#socket!.send(String(this.sent++), this.#to.port, this.#to.host);
  }
}

/** New sessions, one after the other, on every address in turn, until `stop`. */
export class Newcomers {
  opened = 0;
  /** Those whose flow was moved to another Pod while they were served (`DatagramStream`). */
  astray = 0;
  readonly failures: string[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(
    endpoints: readonly Endpoint[],
    echo: (endpoint: Endpoint, payload: string) => Promise<unknown>,
    everyMs: number,
  ) {
    this.#done = this.#run(endpoints, echo, everyMs);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(
    endpoints: readonly Endpoint[],
    echo: (endpoint: Endpoint, payload: string) => Promise<unknown>,
    everyMs: number,
  ): Promise<void> {
    for (let turn = 0; this.#running; turn++) {
      const endpoint = endpoints[turn % endpoints.length]!;
      try {
        await echo(endpoint, `newcomer ${turn}`);
        this.opened++;
      } catch (error) {
        if (error instanceof AstrayEcho) this.astray++;
        else this.failures.push(`${new Date().toISOString()} ${endpoint.host}:${endpoint.port} ${error}`);
      }
      await Bun.sleep(everyMs);
    }
  }
}

/**
 * Packets that this machine's kernel has thrown away because a core had too many waiting (softnet_stat, column 2):
 * loss of the machine, which a datagram on its way may be part of.
 */
export async function packetsDroppedHere(): Promise<number> {
  const rows = (await Bun.file("/proc/net/softnet_stat").text()).trim().split("\n");
  return rows.reduce((sum, row) => sum + Number.parseInt(row.split(/\s+/)[1]!, 16), 0);
}
