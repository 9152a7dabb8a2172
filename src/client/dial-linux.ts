import type { Pointer } from "bun:ffi";
import { constants, networkInterfaces } from "node:os";
import { isIPv4 } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  type Libc,
  loadLibc,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../sys/memory.ts";
import type { ConnectionEvents, Dial, Source } from "./dial.ts";
import { errorWord, Failure, type FailureCode, meaningOnBind, meaningOnConnect } from "./failure.ts";

const EINPROGRESS = 115;

/** The memory that calls are given: an address lies at its start, the value of an option behind it. */
const MEMORY_BYTES = 64;
const OPTION = 32;

/** `struct sockaddr_in` and `sockaddr_in6`: lengths, and where the fields lie. */
const IN = { port: 2, address: 4, length: 16 } as const;
const IN6 = { port: 2, address: 8, scope: 24, length: 28 } as const;

/**
 * Connects by system calls and hands the socket to Bun before it is connected, so that Bun tells the true error, and a
 * connect can be given up at any time. Null where libc cannot be loaded: see `dial-bun.ts`.
 */
export function linuxDial(): Dial | null {
  try {
    const libc = loadLibc();
    const dialer = new LinuxDialer(libc, nativeMemory(MEMORY_BYTES));
    return (target, source, events) => dialer.dial(target, source, events);
  } catch {
    return null;
  }
}

class LinuxDialer {
  readonly #libc: Libc;
  readonly #memory: NativeMemory;

  constructor(libc: Libc, memory: NativeMemory) {
    this.#libc = libc;
    this.#memory = memory;
  }

  dial(target: Endpoint, source: Source, events: ConnectionEvents): () => void {
    const fd = this.#connecting(target, source);
    if (fd instanceof Failure) {
      let given = true;
      queueMicrotask(() => {
        if (given) events.failed(fd);
      });
      return () => {
        given = false;
      };
    }
    const connection = new Connection(events);
    adopt(fd, connection.handlers).catch((error: unknown) => connection.fail(errorWord(error)));
    return () => connection.giveUp();
  }

  /** A socket whose connect is under way, or done. */
  #connecting(target: Endpoint, source: Source): number | Failure {
    const libc = this.#libc;
    const family = isIPv4(target.address) ? AF_INET : AF_INET6;
    const fd = libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return failureOf(libc.errno(), meaningOnConnect);
    const failure = this.#bind(fd, source, target) ?? this.#connect(fd, target);
    if (failure === null) return fd;
    libc.close(fd);
    return failure;
  }

  #connect(fd: number, target: Endpoint): Failure | null {
    this.#setOption(fd, IPPROTO_TCP, TCP_NODELAY); // as Bun's own sockets have it
    const length = this.#writeSockaddr(target);
    if (this.#libc.connect(fd, this.#memory.address as Pointer, length) === 0) return null;
    const errno = this.#libc.errno();
    return errno === EINPROGRESS ? null : failureOf(errno, meaningOnConnect);
  }

  #bind(fd: number, { address, port = 0, bound }: Source, target: Endpoint): Failure | null {
    if (address === undefined && port === 0 && bound === undefined) return null;
    // A port whose last session is in TIME-WAIT may be taken again, to see once more what that flow saw.
    if (port !== 0) this.#setOption(fd, SOL_SOCKET, SO_REUSEADDR);
    const any = { a0: 0, a1: 0, a2: isIPv4(target.address) ? target.address.a2 : 0, a3: 0 };
    const length = this.#writeSockaddr({ ...target, address: address ?? any, port });
    if (this.#libc.bind(fd, this.#memory.address as Pointer, length) < 0) {
      return failureOf(this.#libc.errno(), (error) => meaningOnBind(error, port));
    }
    bound?.(this.#portOf(fd));
    return null;
  }

  /** The port that a socket was bound to. */
  #portOf(fd: number): number {
    const { address, view } = this.#memory;
    view.setUint32(OPTION, OPTION, true); // room for the address
    this.#libc.getsockname(fd, address as Pointer, (address + OPTION) as Pointer);
    return view.getUint16(IN.port); // in the same place for both families
  }

  #setOption(fd: number, level: number, option: number): void {
    this.#memory.view.setInt32(OPTION, 1, true);
    this.#libc.setsockopt(fd, level, option, (this.#memory.address + OPTION) as Pointer, 4);
  }

  /** Writes an address for a system call; returns its length. */
  #writeSockaddr({ address, port, zone }: Endpoint): number {
    const { view } = this.#memory;
    const { a0, a1, a2, a3 } = address;
    const layout = isIPv4(address) ? IN : IN6;
    for (let at = 0; at < OPTION; at += 4) view.setInt32(at, 0);
    view.setUint16(0, layout === IN ? AF_INET : AF_INET6, true);
    view.setUint16(layout.port, port);
    const words = layout === IN ? [a3] : [a0, a1, a2, a3];
    for (const [index, word] of words.entries()) view.setInt32(layout.address + 4 * index, word);
    if (zone !== undefined && layout === IN6) view.setUint32(IN6.scope, scopeOf(zone), true);
    return layout.length;
  }
}

/** Tells a connection's events. Until it is connected nothing must be written: a write would take the error away. */
class Connection {
  readonly handlers: Bun.SocketHandler<undefined>;
  readonly #events: ConnectionEvents;
  #state: "connecting" | "connected" | "over" = "connecting";
  #socket: Bun.Socket<undefined> | null = null;

  constructor(events: ConnectionEvents) {
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

  fail(error: string): void {
    if (this.#state !== "connecting") return;
    this.#state = "over";
    this.#events.failed(new Failure(meaningOnConnect(error), 0, error));
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

  /** Whether it is connected, which is told when it is seen first: a socket that is not has no other end. */
  #isConnected(socket: Bun.Socket<undefined>): boolean {
    if (this.#state === "connecting" && socket.remoteAddress !== undefined) {
      this.#state = "connected";
      this.#events.connected(socket);
    }
    return this.#state === "connected";
  }

  #closed(error: Error | undefined): void {
    if (this.#state === "connected") this.#events.closed(error === undefined ? null : errorWord(error));
    else this.fail(error === undefined ? "closed before it was connected" : errorWord(error));
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
