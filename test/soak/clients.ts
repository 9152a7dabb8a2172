/**
 * The clients of the soak run. Each does one thing to the server, checks every byte that comes back, and says what
 * went wrong; what a client does on purpose (a reset, leaving early) is not wrong.
 */

/** A running tally. `wrong` must stay empty. */
export interface Tally {
  sessions: number;
  echoedBytes: number;
  datagrams: number;
  lostDatagrams: number;
  readonly wrong: string[];
  /** Moments at which a loop was made to die (ms of `performance.now()`). */
  readonly deathsMs: number[];
  /** Sessions that a death ended or cost datagrams: no more than the server says died. */
  readonly died: { tcp: number; udp: number; datagrams: number };
}

/** From the order to die until the loop is gone and its successor serves. */
const DEATH_MS = 2000;

/** Whether a loop died while this went on since `startMs`: then its session may have died with it. */
function deathSince(tally: Tally, startMs: number): boolean {
  return tally.deathsMs.some((atMs) => startMs < atMs + DEATH_MS);
}

const BLOCK = crypto.getRandomValues(new Uint8Array(65_536));

/** `length` pseudo-random bytes that differ from one `seed` to the next: a window of one random block. */
function payload(seed: number, length: number): Uint8Array {
  const start = (seed * 7919) % BLOCK.length;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const piece = BLOCK.subarray(
      (start + at) % BLOCK.length,
      Math.min(BLOCK.length, ((start + at) % BLOCK.length) + length - at),
    );
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** How a TCP session behaves. */
export interface TcpPlan {
  readonly port: number;
  readonly seed: number;
  readonly bytes: number;
  /** After this many echoed bytes: half-close at the start and read all, just close, or reset. */
  readonly ending: "half-close" | "close" | "reset";
  /** Wait before the first read: the server must hold back. */
  readonly stallMs: number;
}

/** One TCP session from banner to end. Resolves when it is over. Only a loop's death may end it early, by a reset. */
export function tcpSession(plan: TcpPlan, tally: Tally): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const startMs = performance.now();
  const sent = payload(plan.seed, plan.bytes);
  const enough = plan.ending === "reset" ? plan.bytes >> 1 : plan.bytes;
  let newlines = 0;
  let echoed = 0;
  let at = 0;
  const over = (fault?: string): void => {
    if (fault !== undefined) tally.wrong.push(`tcp ${plan.ending} ${plan.bytes} B: ${fault}`);
    tally.sessions++;
    tally.echoedBytes += echoed;
    resolve();
  };
  const pump = (socket: Bun.Socket): void => {
    while (at < sent.length) {
      const taken = socket.write(sent, at, sent.length - at);
      if (taken <= 0) return;
      at += taken;
    }
    if (plan.ending === "half-close" && at === sent.length) {
      at++;
      socket.shutdown();
    }
  };
  let finished = false;
  Bun.connect({
    hostname: "127.0.0.1",
    port: plan.port,
    allowHalfOpen: true,
    socket: {
      async open(socket) {
        if (plan.stallMs > 0) socket.pause();
        pump(socket);
        if (plan.stallMs === 0) return;
        await Bun.sleep(plan.stallMs);
        socket.resume();
      },
      drain: pump,
      data(socket, chunk) {
        let from = 0;
        while (newlines < 4 && from < chunk.length) if (chunk[from++] === 10) newlines++;
        const body = chunk.subarray(from);
        if (body.length > 0 && !body.equals(sent.subarray(echoed, echoed + body.length)) && !finished) {
          finished = true;
          over(`wrong bytes at ${echoed}`);
          socket.terminate();
          return;
        }
        echoed += body.length;
        if (plan.ending !== "half-close" && echoed >= enough && !finished) {
          finished = true;
          over();
          if (plan.ending === "reset") socket.terminate();
          else socket.end();
        }
      },
      end(socket) {
        if (!finished) {
          finished = true;
          over(echoed === plan.bytes ? undefined : `FIN after ${echoed} bytes`);
        }
        socket.end();
      },
      close(_socket, error) {
        if (finished) return;
        finished = true;
        const whole = plan.ending === "half-close" && echoed === plan.bytes; // a FIN after ours comes as a close
        const died = !whole && isReset(error) && deathSince(tally, startMs);
        if (died) tally.died.tcp++;
        over(whole || died ? undefined : `closed after ${echoed} bytes: ${error?.message ?? "no error"}`);
      },
      error() {},
    },
  }).catch((error: Error) => over(`no connection: ${error.message}`));
  return promise;
}

function isReset(error: Error | undefined): boolean {
  return error !== undefined && "code" in error && error.code === "ECONNRESET";
}

/** One UDP session: `count` datagrams in bursts of `burst`, each answered once, alike, and by nobody else's. */
export async function udpSession(
  port: number,
  seed: number,
  count: number,
  burst: number,
  tally: Tally,
): Promise<void> {
  const expected = new Map<number, Buffer>();
  let banners = 0;
  let bannersMax = 1;
  let died = false;
  let progress = Promise.withResolvers<void>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: {
      data(_socket, data) {
        const sequence = data.length >= 8 ? data.readUInt32LE(4) : -1;
        const wanted =
          data.length >= 8 && data.readUInt32LE(0) === seed >>> 0 ? expected.get(sequence) : undefined;
        if (wanted?.equals(data)) {
          expected.delete(sequence);
          tally.datagrams++;
        } else if (banners++ >= bannersMax || !data.toString("latin1").includes("Server: 127.0.0.1:")) {
          tally.wrong.push(`udp: ${data.length} bytes that were not sent, or sent twice`);
        }
        progress.resolve();
      },
      error() {},
    },
  });
  for (let next = 0; next < count; ) {
    const startMs = performance.now();
    for (let at = 0; at < burst && next < count; at++, next++) {
      const data = Buffer.alloc(8 + ((seed + next * 37) % 1400), seed + next);
      data.writeUInt32LE(seed >>> 0, 0);
      data.writeUInt32LE(next, 4);
      expected.set(next, data);
      socket.send(data);
    }
    for (const end = Date.now() + 10_000; expected.size > 0 && Date.now() < end; ) {
      progress = Promise.withResolvers();
      await Promise.race([progress.promise, Bun.sleep(100)]);
    }
    if (deathSince(tally, startMs)) {
      bannersMax++; // to the loop that takes the dead one's place it is a new session
      if (expected.size > 0) died = true;
      tally.died.datagrams += expected.size;
    } else {
      tally.lostDatagrams += expected.size; // a full kernel buffer may drop; nothing may come late as another's
    }
    expected.clear();
  }
  if (died) tally.died.udp++;
  socket.close();
  tally.sessions++;
}
