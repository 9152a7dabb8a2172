/** A TCP echo with a banner that does one thing wrong on purpose. */

/** What it does wrong. */
export type Fault =
  /** One byte of every 10,000 that it echoes is another one, over all its sessions. */
  | "corrupt"
  /** The 10th echoed chunk of a session comes back without its last byte. */
  | "drop"
  /** The 10th echoed chunk of a session comes back twice. */
  | "duplicate"
  /** The 10th echo of a session is that of the chunk before it. */
  | "stale"
  /** Ends a session at its 10th chunk. */
  | "close"
  /** Resets a session at its 10th chunk. */
  | "reset"
  /** Names itself as the client. */
  | "wrong-client"
  /** A banner with two spaces where `date` has one. */
  | "wrong-date"
  /** Says more than the banner before it is asked. */
  | "talkative"
  /** Echoes 700 ms late. */
  | "late"
  /** Accepts and says nothing, not even the banner. */
  | "silent";

const CORRUPT_EVERY = 10_000;
const LATE_MS = 700;
/** The chunk of a session at which the faults of one moment happen. */
const AT_CHUNK = 10;

interface Session {
  chunks: number;
  last: Buffer;
}

export interface FaultyEcho extends Disposable {
  readonly port: number;
}

/** @param fault what is wrong with it; undefined: nothing */
export function startFaultyEcho(fault?: Fault): FaultyEcho {
  let echoed = 0;

  const send = (socket: Bun.Socket<Session>, bytes: Buffer): void => {
    const written = socket.write(bytes); // -1: the client has gone
    // The tests never have more than one small message in flight, so this holds.
    if (written !== -1 && written !== bytes.length)
      throw new Error(`the kernel took ${written} of ${bytes.length} bytes`);
  };

  const corrupt = (bytes: Buffer): Buffer => {
    const first = CORRUPT_EVERY - (echoed % CORRUPT_EVERY) - 1;
    for (let at = first; at < bytes.length; at += CORRUPT_EVERY) bytes[at]! ^= 0x01;
    echoed += bytes.length;
    return bytes;
  };

  const listener = Bun.listen<Session>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { chunks: 0, last: Buffer.alloc(0) };
        if (fault !== "silent") send(socket, Buffer.from(banner(socket, fault)));
      },
      data(socket, bytes) {
        if (fault === "silent") return;
        const session = socket.data;
        const now = ++session.chunks === AT_CHUNK;
        const last = session.last;
        session.last = bytes;
        if (fault === "corrupt") send(socket, corrupt(bytes));
        else if (fault === "drop" && now) send(socket, bytes.subarray(1));
        else if (fault === "duplicate" && now) send(socket, Buffer.concat([bytes, bytes]));
        else if (fault === "stale" && now) send(socket, last);
        else if (fault === "late") setTimeout(send, LATE_MS, socket, bytes);
        else if (fault === "close" && now) socket.end();
        else if (fault === "reset" && now) socket.terminate();
        else send(socket, bytes);
      },
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

function banner(socket: Bun.Socket<Session>, fault: Fault | undefined): string {
  const server = `${socket.localAddress}:${socket.localPort}`;
  const client = fault === "wrong-client" ? server : `${socket.remoteAddress}:${socket.remotePort}`;
  const date = `Sun Jun${fault === "wrong-date" ? "  " : " "}4 18:37:24 UTC 2023`;
  return `${date}\nServer: ${server}\nClient: ${client}\n\n${fault === "talkative" ? "hello\n" : ""}`;
}
