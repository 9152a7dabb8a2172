/** How long a target may take to speak first. */
const PATIENCE_MS = 400;

/** Whether the target speaks first on a new TCP connection, as this project's server does. Throws if nobody is there. */
export async function tcpSpeaksFirst(host: string, port: number): Promise<boolean> {
  const spoken = Promise.withResolvers<boolean>();
  const socket = await Bun.connect({
    hostname: host,
    port,
    socket: {
      data: () => spoken.resolve(true),
      close: () => spoken.resolve(false),
      error: () => spoken.resolve(false),
    },
  });
  const answer = await Promise.race([spoken.promise, Bun.sleep(PATIENCE_MS).then(() => false)]);
  socket.terminate();
  return answer;
}

/** Whether the first datagram of a session is answered by two. Throws if it is not answered at all. */
export async function udpGreets(host: string, port: number): Promise<boolean> {
  let answers = 0;
  const enough = Promise.withResolvers<void>();
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data() {
        if (++answers === 2) enough.resolve();
      },
      error: () => enough.resolve(),
    },
  });
  socket.send("is anybody there?");
  await Promise.race([enough.promise, Bun.sleep(PATIENCE_MS)]);
  socket.close();
  if (answers === 0) throw new Error(`nobody answers on udp ${host}:${port}`);
  return answers === 2;
}
