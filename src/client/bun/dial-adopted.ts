import type { Endpoint } from "../../net/endpoint.ts";
import { hasLibc, loadLibc } from "../../sys/libc.ts";
import { isConnected } from "../../sys/socket.ts";
import { tcpInfo } from "../../sys/tcp-info.ts";
import type { Connection, ConnectionEvents, Dial, Source, TcpInfo } from "../dial.ts";
import { errorWord, Failure, meaningOnConnect } from "../failure.ts";
import { connectSocket, openTcpSocket } from "../linux/connect.ts";

/**
 * Connects by system calls and hands the socket to Bun before it is connected, so that Bun tells the true error, and a
 * connect can be given up at any time. Null where libc cannot be loaded: see `dial.ts`.
 */
export function adoptingDial(): Dial | null {
  return hasLibc() ? dial : null;
}

const NO_DESCRIPTOR = -1;

function dial(target: Endpoint, source: Source, events: ConnectionEvents): () => void {
  const fd = openConnecting(target, source);
  const connection = new Connecting(fd instanceof Failure ? NO_DESCRIPTOR : fd, events);
  if (fd instanceof Failure) queueMicrotask(() => connection.fail(fd));
  else adopt(fd, connection.handlers).catch((error: unknown) => connection.failBy(errorWord(error)));
  return () => connection.giveUp();
}

/** A socket whose connect is under way, or done. */
function openConnecting(target: Endpoint, source: Source): number | Failure {
  const fd = openTcpSocket(target, source);
  if (fd instanceof Failure) return fd;
  const failure = connectSocket(fd, target);
  if (failure === null) return fd;
  loadLibc().close(fd);
  return failure;
}

/** Tells a connection's events. Until it is connected nothing must be written: a write would take the error away. */
class Connecting {
  readonly handlers: Bun.SocketHandler<undefined>;
  readonly #events: ConnectionEvents;
  #state: "connecting" | "connected" | "over" = "connecting";
  readonly #fd: number;
  #socket: Bun.Socket<undefined> | null = null;
  #connection: AdoptedConnection | null = null;

  /** @param fd the socket, which Bun is about to have */
  constructor(fd: number, events: ConnectionEvents) {
    this.#fd = fd;
    this.#events = events;
    this.handlers = {
      open: (socket) => this.#opened(socket),
      drain: (socket) => {
        if (this.#isConnected(socket)) events.writable();
      },
      data: (socket, bytes) => {
        if (this.#isConnected(socket)) events.data(bytes);
      },
      end: (socket) => {
        if (this.#isConnected(socket)) events.fin();
      },
      close: (_socket, error) => this.#closed(error),
      error(_socket, error) {
        throw error; // thrown by a handler above: a bug, and not a fault of the network
      },
    };
  }

  fail(failure: Failure): void {
    if (this.#state !== "connecting") return;
    this.#state = "over";
    this.#events.failed(failure);
  }

  failBy(error: string): void {
    this.fail(new Failure(meaningOnConnect(error), 0, error));
  }

  giveUp(): void {
    if (this.#state !== "connecting") return;
    this.#state = "over";
    this.#socket?.terminate();
  }

  /** Bun has the socket, which may be connected or not yet. */
  #opened(socket: Bun.Socket<undefined>): void {
    this.#socket = socket;
    if (this.#state === "over") socket.terminate();
    else this.#isConnected(socket);
  }

  /**
   * Whether it is connected, which is told when it is seen first. The kernel is asked: Bun's `remoteAddress`, read
   * while a connect is under way, stays undefined ever after.
   */
  #isConnected(socket: Bun.Socket<undefined>): boolean {
    if (this.#state === "connecting" && isConnected(this.#fd)) {
      this.#state = "connected";
      this.#connection = new AdoptedConnection(socket, this.#fd);
      this.#events.connected(this.#connection);
    }
    return this.#state === "connected";
  }

  #closed(error: Error | undefined): void {
    this.#connection?.over();
    if (this.#state === "connected") this.#events.closed(error === undefined ? null : errorWord(error));
    else this.failBy(error === undefined ? "closed before it was connected" : errorWord(error));
    this.#state = "over";
  }
}

/** A socket of Bun's, of which the kernel is asked besides. */
class AdoptedConnection implements Connection {
  readonly localAddress: string;
  readonly localPort: number;
  readonly #socket: Bun.Socket<undefined>;
  readonly #fd: number;
  /** Bun still has the descriptor: later its number may be another's. */
  #isOpen = true;
  #info: TcpInfo | null = null;

  constructor(socket: Bun.Socket<undefined>, fd: number) {
    this.#socket = socket;
    this.#fd = fd;
    this.localAddress = socket.localAddress;
    this.localPort = socket.localPort;
  }

  info(): TcpInfo | null {
    if (this.#isOpen) this.#info = tcpInfo(this.#fd) ?? this.#info;
    return this.#info;
  }

  /** Bun has closed it. */
  over(): void {
    this.#isOpen = false;
  }

  write(bytes: Uint8Array): number {
    return this.#socket.write(bytes);
  }

  shutdown(): void {
    this.#socket.shutdown();
  }

  end(): void {
    this.info();
    this.#socket.end();
  }

  terminate(): void {
    this.info();
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** Gives Bun a socket that the kernel made. Bun takes `fd`, though the types of `Bun.connect` do not say so. */
function adopt(fd: number, handlers: Bun.SocketHandler<undefined>): Promise<Bun.Socket<undefined>> {
  const options = { fd, allowHalfOpen: true, socket: handlers };
  return Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
}
