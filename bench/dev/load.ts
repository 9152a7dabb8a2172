/**
 * A load of fixed shape for `overhead.ts`: so many clients, each with one message in flight. Prints `ready` when
 * every client has its answer; then, for each number of milliseconds read from stdin, a line with the messages that
 * were echoed in that time.
 */

let echoed = 0;

interface Client {
  /** Bytes of the current message still to come back. */
  due: number;
  /** Bytes of it still to be sent. */
  unsent: number;
}

const QUIET_MS = 100;

/** TCP clients. What comes before the first message (a banner) is thrown away. */
async function tcpClients(port: number, clients: number, size: number): Promise<void> {
  const message = new Uint8Array(size).fill(120);
  let running = false;
  const push = (socket: Bun.Socket<Client>): void => {
    const sent = socket.write(message, size - socket.data.unsent, socket.data.unsent);
    if (sent > 0) socket.data.unsent -= sent;
  };
  const start = (socket: Bun.Socket<Client>): void => {
    socket.data.due = size;
    socket.data.unsent = size;
    push(socket);
  };
  const sockets: Bun.Socket<Client>[] = [];
  for (let made = 0; made < clients; made++) {
    const socket = await Bun.connect<Client>({
      hostname: "127.0.0.1",
      port,
      data: { due: 0, unsent: 0 },
      socket: {
        data(socket, chunk) {
          if (!running) return;
          socket.data.due -= chunk.length;
          if (socket.data.due > 0) return;
          if (socket.data.due < 0) throw new Error("more came back than was sent");
          echoed++;
          start(socket);
        },
        drain(socket) {
          if (socket.data.unsent > 0) push(socket);
        },
      },
    });
    sockets.push(socket);
  }
  await Bun.sleep(QUIET_MS);
  running = true;
  for (const socket of sockets) start(socket);
}

/** UDP clients. A client that has heard nothing for a while sends again. */
async function udpClients(port: number, clients: number, size: number): Promise<void> {
  const message = new Uint8Array(size).fill(120);
  let running = false;
  const heard = new Int32Array(clients);
  const sockets: Bun.udp.Socket<"buffer">[] = [];
  for (let made = 0; made < clients; made++) {
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          if (!running) return;
          heard[made] = 1;
          echoed++;
          socket.send(message, port, "127.0.0.1");
        },
        error() {},
      },
    });
    sockets.push(socket);
    socket.send(message, port, "127.0.0.1");
  }
  await Bun.sleep(QUIET_MS);
  running = true;
  for (const socket of sockets) socket.send(message, port, "127.0.0.1");
  setInterval(() => {
    for (const [at, socket] of sockets.entries()) {
      if (heard[at] === 0) socket.send(message, port, "127.0.0.1");
      heard[at] = 0;
    }
  }, 1000);
}

/** Loads `port` and answers on stdin and stdout as told above. */
export async function load(protocol: string, port: number, clients: number, size: number): Promise<void> {
  await (protocol === "tcp" ? tcpClients : udpClients)(port, clients, size);
  console.log("ready");
  for await (const line of console) {
    echoed = 0;
    await Bun.sleep(Number(line));
    console.log(echoed);
  }
  process.exit(0);
}
