import type { Pointer } from "bun:ffi";
import type { TCPSocketListener, TCPSocketListenOptions } from "bun";
import { bindFailure } from "../net/bind-failure.ts";
import { type Endpoint, endpointOf } from "../net/endpoint.ts";
import { IPPROTO_TCP, loadLibc, MSG_DONTWAIT, TCP_DEFER_ACCEPT } from "../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../sys/memory.ts";
import { BACKLOG } from "../sys/socket.ts";
import { ADMIN_CLOSES, type AdminClose, type Answerer, HttpConnection } from "./http-connection.ts";
import { HEAD_BYTES_MAX } from "./http-reader.ts";

/** Time between two looks at deadlines. */
const SWEEP_MS = 500;

/**
 * A burst of questions may take this many times the cap, where descriptors are free and none of those who ask is
 * idle: an answer takes a moment, and to end any of them would leave somebody without one.
 */
const BUSY_FACTOR = 4;

/** How long the kernel keeps a connection that says nothing before it is accepted. */
const SILENCE_S = 1;

/** Where and how HTTP is served. */
export interface HttpListening {
  readonly hosts: readonly string[];
  /** 0: any free one, the same for all hosts. */
  readonly port: number;
  /** Connections at once; one more ends the one that has been idle longest. */
  readonly connectionsMax: number;
  /** Descriptors from here on are those that are set aside: for `connectionsMax` connections, and a few others. */
  readonly descriptorsMax: number;
}

/** How many connections there are, and how many this side has ended, by why. */
export interface ConnectionCounts {
  active: number;
  readonly closed: Record<AdminClose, number>;
}

export function makeConnectionCounts(): ConnectionCounts {
  const none = ADMIN_CLOSES.map((reason) => [reason, 0] as const);
  return { active: 0, closed: Object.fromEntries(none) as ConnectionCounts["closed"] };
}

/**
 * HTTP/1 on `Bun.listen`. (`Bun.serve` has neither a cap of connections nor a hook that could make one: idle ones
 * take every descriptor of the process, and then accept(2) spins.)
 */
export class HttpServer {
  readonly bound: readonly Endpoint[];
  readonly #listeners: TCPSocketListener<HttpConnection>[] = [];
  readonly #connectionsMax: number;
  readonly #descriptorsMax: number;
  readonly #answerer: Answerer;
  readonly #counts: ConnectionCounts;
  /** In the order of their last activity, the longest idle first. */
  readonly #connections = new Map<HttpConnection, Connected>();
  /** Looks at deadlines while there are connections. */
  #sweep: Timer | null = null;
  #peek: NativeMemory | null = null;

  /** @throws StartError when an address cannot be bound */
  constructor(listening: HttpListening, answerer: Answerer, counts: ConnectionCounts) {
    this.#connectionsMax = listening.connectionsMax;
    this.#descriptorsMax = listening.descriptorsMax;
    this.#answerer = answerer;
    this.#counts = counts;
    this.#listen(listening);
    this.bound = this.#listeners.map(({ hostname, port }) => endpointOf(hostname, port)!);
  }

  stop(): void {
    for (const listener of this.#listeners) listener.stop(true);
  }

  #listen({ hosts, port: wanted }: HttpListening): void {
    let port = wanted;
    try {
      for (const host of hosts) {
        const listener = listenOn(host, port, host === "::" && hosts.includes("0.0.0.0"), this.#handlers());
        this.#listeners.push(listener);
        ({ port } = listener);
      }
    } catch (error) {
      for (const listener of this.#listeners) listener.stop(true);
      throw error;
    }
  }

  #handlers(): Handlers {
    return {
      open: (socket) => this.#open(socket),
      data: ({ data: connection }, bytes) => {
        this.#touch(connection);
        connection.take(bytes);
      },
      drain: ({ data: connection }) => {
        this.#touch(connection);
        connection.writable();
      },
      end: ({ data: connection }) => connection.finish(),
      close: ({ data: connection }) => this.#closed(connection),
      error: (socket) => socket.terminate(),
    };
  }

  #open(socket: Connected): void {
    const connection = new HttpConnection(socket, this.#answerer, (reason) => {
      this.#counts.closed[reason]++;
    });
    socket.data = connection;
    this.#connections.set(connection, socket);
    this.#counts.active = this.#connections.size;
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS);
    this.#makeRoom(connection);
  }

  #closed(connection: HttpConnection): void {
    connection.closed();
    this.#forget(connection);
  }

  #forget(connection: HttpConnection): void {
    this.#connections.delete(connection);
    this.#counts.active = this.#connections.size;
    if (this.#connections.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #touch(connection: HttpConnection): void {
    const socket = this.#connections.get(connection);
    if (socket === undefined) return;
    this.#connections.delete(connection);
    this.#connections.set(connection, socket);
  }

  /**
   * Ends the connections that have been idle longest, down to the cap; of those that are being answered only what is
   * more than a burst may take. The newcomer, if there is one, stays.
   */
  #makeRoom(newcomer: HttpConnection | null): void {
    while (this.#connections.size > this.#connectionsMax) {
      const idle = this.#longestIdle(newcomer);
      if (idle === null && this.#connections.size <= this.#busyMax(newcomer)) return;
      const [oldest] = this.#connections.keys();
      const ending = idle ?? oldest!;
      this.#forget(ending);
      ending.end("max_connections");
    }
  }

  /**
   * A burst is accepted as a whole before any of it is read, so one that seems idle may have asked already: what it
   * has sent is read first. So a probe gets its answer, however many idle connections come with it.
   */
  #longestIdle(newcomer: HttpConnection | null): HttpConnection | null {
    for (const [connection, socket] of [...this.#connections]) {
      if (connection === newcomer || connection.answering) continue;
      const unread = this.#unread(socket);
      if (unread !== null) connection.take(unread);
      if (!connection.answering) return connection;
    }
    return null;
  }

  /** Connections that may be open while all of them are being answered. */
  #busyMax(newcomer: HttpConnection | null): number {
    const socket = newcomer === null ? undefined : this.#connections.get(newcomer);
    const scarce = socket !== undefined && descriptorOf(socket) >= this.#descriptorsMax;
    return scarce ? this.#connectionsMax : this.#connectionsMax * BUSY_FACTOR;
  }

  /** Bytes of a connection that the kernel still has, read past Bun; null where there are none, or no libc. */
  #unread(socket: Connected): Uint8Array | null {
    const fd = descriptorOf(socket);
    if (fd < 0) return null;
    try {
      this.#peek ??= nativeMemory(HEAD_BYTES_MAX);
      const { address, bytes } = this.#peek;
      const length = loadLibc().recv(fd, address as Pointer, bytes.length, MSG_DONTWAIT);
      return length > 0 ? bytes.slice(0, length) : null;
    } catch {
      return null;
    }
  }

  #expire(): void {
    const nowMs = performance.now();
    for (const [connection, socket] of [...this.#connections]) {
      if (!connection.isOverdue(nowMs)) continue;
      // A process that was late itself looks here before it has read, or filled the room, that came in time.
      connection.writable();
      const unread = this.#unread(socket);
      if (unread !== null) connection.take(unread);
      if (connection.isOverdue(nowMs)) connection.end("timeout");
    }
    this.#makeRoom(null); // of a burst, those that have their answer by now
  }
}

type Connected = Bun.Socket<HttpConnection>;
type Handlers = TCPSocketListenOptions<HttpConnection>["socket"];

/** Options of Bun.listen that its types leave out. */
interface ListenOptions extends TCPSocketListenOptions<HttpConnection> {
  readonly ipv6Only: boolean;
}

function listenOn(
  hostname: string,
  port: number,
  ipv6Only: boolean,
  socket: Handlers,
): TCPSocketListener<HttpConnection> {
  const options: ListenOptions = { hostname, port, ipv6Only, allowHalfOpen: true, socket };
  try {
    const listener = Bun.listen<HttpConnection>(options);
    prepare(descriptorOf(listener));
    return listener;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw bindFailure("admin", hostname, port, code === "" ? String(error) : code);
  }
}

/**
 * What Bun does not do for a listener: its backlog is 512 (listen(2) may be called again to change it), and it accepts
 * connections that have not said a word. The kernel keeps those to itself for a while, so that one that is accepted
 * has asked, as a rule, and can be answered before the next newcomer needs its place.
 */
function prepare(fd: number): void {
  if (fd < 0) return;
  try {
    const libc = loadLibc();
    const { address, view } = nativeMemory(4);
    view.setInt32(0, SILENCE_S, true);
    libc.setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, address as Pointer, 4);
    libc.listen(fd, BACKLOG);
  } catch {
    // Not Linux: Bun's own backlog stays, and silent connections are accepted at once.
  }
}

/** The descriptor under a socket of Bun's, which its types do not tell; -1 where it has none. */
function descriptorOf(socket: object): number {
  return "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
}
