import { hostPort, reasonOf } from "../generator/reason.ts";

/** How long an answer may take. */
const PATIENCE_MS = 3000;
/** A datagram without an answer is sent again after so long. */
const TRY_MS = 100;

/** No banner begins like this: it is no text. */
const PROBE = new Uint8Array([0, 255, 0, 255, 0, 255, 0, 255]);

const isProbe = (bytes: Uint8Array): boolean => bytes[0] === PROBE[0];

/**
 * Whether a new TCP session begins with something else than its echo. Throws, and says why, if nobody is there.
 * @param source the address to come from; null: as the system chooses
 */
export async function tcpSpeaksFirst(host: string, port: number, source: string | null): Promise<boolean> {
  const first = Promise.withResolvers<boolean>();
  const socket = await Bun.connect({
    hostname: host,
    port,
    ...(source === null ? {} : { localAddress: source }), // Bun takes it, though its types do not say so
    socket: {
      open: (opened) => void opened.write(PROBE),
      data: (_socket, bytes) => first.resolve(!isProbe(bytes)),
      close: () => first.resolve(false),
      error: () => first.resolve(false),
    },
  }).catch((error: unknown) => {
    throw new Error(`no connection to tcp ${hostPort(host, port)}: ${reasonOf(error)}`);
  });
  const answer = await Promise.race([first.promise, Bun.sleep(PATIENCE_MS).then(() => false)]);
  socket.terminate();
  return answer;
}

/**
 * Whether a new UDP session begins with something else than its echo. Throws if it is not answered at all.
 * @param source the address to come from; null: as the system chooses
 */
export async function udpGreets(host: string, port: number, source: string | null): Promise<boolean> {
  const first = Promise.withResolvers<boolean>();
  const socket = await Bun.udpSocket({
    ...(source === null ? {} : { hostname: source }),
    connect: { hostname: host, port },
    socket: { data: (_socket, bytes) => first.resolve(!isProbe(bytes)), error() {} },
  }).catch((error: unknown) => {
    throw new Error(`no socket to udp ${hostPort(host, port)}: ${reasonOf(error)}`);
  });
  let refused = false;
  try {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
      try {
        socket.send(PROBE);
      } catch {
        refused = true; // the bounce of the datagram before
      }
      const answer = await Promise.race([first.promise, Bun.sleep(TRY_MS).then(() => null)]);
      if (answer !== null) return answer;
    }
  } finally {
    socket.close();
  }
  throw new Error(`nobody answers on udp ${hostPort(host, port)}${refused ? ": the port is closed" : ""}`);
}
