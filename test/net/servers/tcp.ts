/**
 * Small TCP servers, each wrong in one way, and one that is right: a plain echo without a banner (RFC 862). In a
 * test's own process by `startTcp`; on another host by `bun tcp.ts FAULT ADDRESS PORT [BYTES]`, which prints the port
 * once it listens.
 */

/** A client's session, as a fault sees it. */
export interface Session {
  /** From 1. */
  readonly number: number;
  /** Sends it all, however little the kernel takes at a time. */
  send(bytes: Uint8Array): void;
  /** A FIN after all that is to be sent. */
  end(): void;
  reset(): void;
}

/** What a server does that an echo server does not. */
export interface Fault {
  opened?(session: Session): void;
  /** Bytes came within the first ones of a session, and beyond them. Default: they are echoed. */
  early?(session: Session, bytes: Uint8Array): void;
  late?(session: Session, bytes: Uint8Array): void;
  /** The client's FIN. Default: a FIN back. */
  finished?(session: Session): void;
}

/** What the server says that is no echo server. */
export const FOREIGN = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/** How long the slow one takes for an echo. */
export const SLOW_MS = 100;

const nothing = (): void => {};

export const FAULTS = {
  none: {},
  /** Accepts and says nothing. */
  silent: { early: nothing, late: nothing },
  /** Falls silent. */
  stalls: { late: nothing },
  resets: { late: (session) => session.reset() },
  resetsAtOnce: { opened: (session) => session.reset() },
  resetsEverySecond: { opened: (session) => void (session.number % 2 === 0 && session.reset()) },
  closes: { late: (session) => session.end() },
  closesAtOnce: { opened: (session) => session.end() },
  corrupts: {
    late(session, bytes) {
      const changed = Uint8Array.from(bytes);
      changed[changed.length - 1]! ^= 1;
      session.send(changed);
    },
  },
  foreign: { early: (session) => session.send(new TextEncoder().encode(FOREIGN)) },
  /** As one that has no place for a newcomer, or waits for no request. */
  foreignAtOnce: {
    opened(session) {
      session.send(new TextEncoder().encode(FOREIGN));
      session.end();
    },
    early: nothing,
  },
  doubles: {
    early(session, bytes) {
      session.send(bytes);
      session.send(bytes);
    },
  },
  slow: {
    early(session, bytes) {
      const copy = Uint8Array.from(bytes);
      setTimeout(() => session.send(copy), SLOW_MS);
    },
    finished: (session) => void setTimeout(() => session.end(), SLOW_MS),
  },
  /** Swallow what is late, and on the client's FIN end, reset or do nothing. */
  cutsTail: { late: nothing },
  resetsOnFin: { late: nothing, finished: (session) => session.reset() },
  forgetsTail: { late: nothing, finished: nothing },
  /** Echoes all, and never ends: as where something swallows the FIN. */
  neverEnds: { finished: nothing },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export interface FaultyServer extends Disposable {
  readonly port: number;
}

/** @param bytes of a session, counted as they come, that are early; what follows is late. Default: all are early */
export function startTcp(
  name: FaultName,
  bytes = Number.POSITIVE_INFINITY,
  address = "127.0.0.1",
  port = 0,
): FaultyServer {
  let count = 0;
  const listener = Bun.listen<Echoing>({
    hostname: address,
    port,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = new Echoing(socket, ++count, FAULTS[name], bytes);
        socket.data.opened();
      },
      data: ({ data }, chunk) => data.take(chunk),
      drain: ({ data }) => data.flush(),
      end: ({ data }) => data.finished(),
      error: nothing,
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

class Echoing implements Session {
  #unsent: Uint8Array = new Uint8Array(0);
  #ended = false;
  #hasFinished = false;
  #earlyLeft: number;

  constructor(
    readonly socket: Bun.Socket<Echoing>,
    readonly number: number,
    readonly fault: Fault,
    earlyBytes: number,
  ) {
    this.#earlyLeft = earlyBytes;
  }

  opened(): void {
    this.fault.opened?.(this);
  }

  take(chunk: Uint8Array): void {
    const early = chunk.subarray(0, Math.min(chunk.length, this.#earlyLeft));
    const late = chunk.subarray(early.length);
    this.#earlyLeft -= early.length;
    const echo = (_session: Session, bytes: Uint8Array): void => this.send(bytes);
    if (early.length > 0) (this.fault.early ?? echo)(this, early);
    if (late.length > 0) (this.fault.late ?? echo)(this, late);
  }

  finished(): void {
    this.#hasFinished = true;
    if (this.fault.finished === undefined) this.end();
    else this.fault.finished(this);
  }

  send(bytes: Uint8Array): void {
    this.#unsent = Buffer.concat([this.#unsent, bytes]);
    this.flush();
  }

  end(): void {
    this.#ended = true;
    this.flush();
  }

  reset(): void {
    this.socket.terminate();
  }

  flush(): void {
    if (this.#unsent.length > 0) {
      const taken = this.socket.write(this.#unsent);
      if (taken > 0) this.#unsent = this.#unsent.subarray(taken);
    }
    if (this.#unsent.length > 0 || !this.#ended) return;
    // A close with bytes unread would be a reset: Bun closes at the client's own FIN.
    if (this.#hasFinished) this.socket.end();
    else this.socket.shutdown();
  }
}

if (import.meta.main) {
  const [name = "none", address = "127.0.0.1", port = "0", bytes] = process.argv.slice(2);
  if (!(name in FAULTS)) throw new Error(`${name} is none of ${Object.keys(FAULTS).join(", ")}`);
  const server = startTcp(
    name as FaultName,
    bytes === undefined ? undefined : Number(bytes),
    address,
    Number(port),
  );
  console.log(server.port);
}
