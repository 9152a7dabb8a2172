import type { Pointer } from "bun:ffi";
import { constants, networkInterfaces } from "node:os";
import { isIPv4 } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import {
  AF_INET,
  AF_INET6,
  EINPROGRESS,
  hasLibc,
  IPPROTO_TCP,
  loadLibc,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../sys/libc.ts";
import { writeSockaddr } from "../sys/sockaddr.ts";
import { isConnected, localEnd, setOption, socketScratch } from "../sys/socket.ts";
import type { ConnectionEvents, Dial, Source } from "./dial.ts";
import { errorWord, Failure, type FailureCode, meaningOnBind, meaningOnConnect } from "./failure.ts";

/**
 * Connects by system calls and hands the socket to Bun before it is connected, so that Bun tells the true error, and a
 * connect can be given up at any time. Null where libc cannot be loaded: see `dial-bun.ts`.
 */
export function linuxDial(): Dial | null {
  return hasLibc() ? dial : null;
}

const NO_DESCRIPTOR = -1;

function dial(target: Endpoint, source: Source, events: ConnectionEvents): () => void {
  const fd = openConnecting(target, source);
  const connection = new Connection(fd instanceof Failure ? NO_DESCRIPTOR : fd, events);
  if (fd instanceof Failure) queueMicrotask(() => connection.fail(fd));
  else adopt(fd, connection.handlers).catch((error: unknown) => connection.failBy(errorWord(error)));
  return () => connection.giveUp();
}

/** A socket whose connect is under way, or done. */
function openConnecting(target: Endpoint, source: Source): number | Failure {
  const libc = loadLibc();
  const family = isIPv4(target.address) ? AF_INET : AF_INET6;
  const fd = libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return failureOf(libc.errno(), meaningOnConnect);
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1); // as Bun's own sockets have it
  const failure = bind(fd, source, target) ?? connect(fd, target);
  if (failure === null) return fd;
  libc.close(fd);
  return failure;
}

function connect(fd: number, target: Endpoint): Failure | null {
  const libc = loadLibc();
  if (libc.connect(fd, ...sockaddr(target)) === 0) return null;
  const errno = libc.errno();
  return errno === EINPROGRESS ? null : failureOf(errno, meaningOnConnect);
}

function bind(fd: number, { address, port = 0, bound }: Source, target: Endpoint): Failure | null {
  if (address === undefined && port === 0 && bound === undefined) return null;
  // A port whose last session is in TIME-WAIT may be taken again, to see once more what that flow saw.
  if (port !== 0) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const any = { a0: 0, a1: 0, a2: isIPv4(target.address) ? target.address.a2 : 0, a3: 0 };
  const libc = loadLibc();
  if (libc.bind(fd, ...sockaddr({ ...target, address: address ?? any, port })) < 0) {
    return failureOf(libc.errno(), (error) => meaningOnBind(error, port));
  }
  bound?.(localEnd(fd).port);
  return null;
}

/** An address as a system call takes it, for the very next one. */
function sockaddr({ address, port, zone }: Endpoint): [Pointer, number] {
  const memory = socketScratch();
  const family = isIPv4(address) ? AF_INET : AF_INET6;
  const scope = zone === undefined ? 0 : scopeOf(zone);
  const length = writeSockaddr(memory.view, 0, family, address, port, scope);
  return [memory.address as Pointer, length];
}

/** Tells a connection's events. Until it is connected nothing must be written: a write would take the error away. */
class Connection {
  readonly handlers: Bun.SocketHandler<undefined>;
  readonly #events: ConnectionEvents;
  #state: "connecting" | "connected" | "over" = "connecting";
  readonly #fd: number;
  #socket: Bun.Socket<undefined> | null = null;

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
      this.#events.connected(socket);
    }
    return this.#state === "connected";
  }

  #closed(error: Error | undefined): void {
    if (this.#state === "connected") this.#events.closed(error === undefined ? null : errorWord(error));
    else this.failBy(error === undefined ? "closed before it was connected" : errorWord(error));
    this.#state = "over";
  }
}

/** Gives Bun a socket that the kernel made. Bun takes `fd`, though the types of `Bun.connect` do not say so. */
function adopt(fd: number, handlers: Bun.SocketHandler<undefined>): Promise<Bun.Socket<undefined>> {
  const options = { fd, allowHalfOpen: true, socket: handlers };
  return Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
}

/** The number of an interface, which is what a zone is to the kernel; 0 where there is none of that name. */
function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  const addresses = networkInterfaces()[zone] ?? [];
  const linkLocal = addresses.find((each) => each.family === "IPv6" && each.scopeid !== 0);
  return linkLocal?.family === "IPv6" ? (linkLocal.scopeid ?? 0) : 0;
}

/** What a call's error means. */
function failureOf(errno: number, meaning: (error: string) => FailureCode): Failure {
  const found = Object.entries(constants.errno).find(([, number]) => number === errno);
  const word = found?.[0] ?? `error ${errno}`;
  return new Failure(meaning(word), 0, word);
}
