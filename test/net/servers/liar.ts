import { sendTo } from "../../clients/send-to.ts";

/**
 * A server that wants its client to believe what is not so, to fall over, or never to end:
 * `bun liar.ts KIND ADDRESS PORT`, TCP and UDP. The UDP checksums are right: what it says does arrive.
 */

/** A session, or a flow. */
interface Client {
  /** From 1. */
  readonly number: number;
  /** Of its messages, from 1. */
  message: number;
  /** Sends, or forgets what the kernel has no room for. Below 0 where nobody is there. */
  send(bytes: Uint8Array): number;
  /** Sends from another port, where that can be. */
  sendFromElsewhere(bytes: Uint8Array): void;
}

type Answer = (client: Client, bytes: Uint8Array) => void;

const encoder = new TextEncoder();

function banner(...fields: string[]): Uint8Array {
  const ends = ["Thu Nov 26 01:02:03 UTC 2026", "Server: 203.0.113.9:9", "Client: 192.0.2.1:7"];
  return encoder.encode(`${[...ends, ...fields].join("\n")}\n\n`);
}

/** Says this before its first echo. */
function greeting(text: Uint8Array): Answer {
  return (client, bytes) => {
    if (client.message === 1) client.send(text);
    client.send(bytes);
  };
}

const GARBAGE = crypto.getRandomValues(new Uint8Array(64));
/** No banner: its line never ends. */
const LINE = new Uint8Array(60_000).fill(0x41);

const KINDS: Readonly<Record<string, Answer>> = {
  /** Well made, and all of it wrong. */
  lies: greeting(banner("Pod: somebody-else", "Node: nowhere")),
  /** Would clear a terminal, and name its window. */
  escapes: greeting(banner("Pod: \x1b[2J\x1b]0;owned\x07", "Node: n1")),
  /** Would turn the rest of a line around. */
  turnsAround: greeting(banner("Pod: safe\u202e\u2066", "Node: n\u200b1")),
  longBanner: greeting(banner(...Array.from({ length: 900 }, (_, at) => `Field: ${"x".repeat(50)}${at}`))),
  longLine: greeting(LINE),
  /** A banner before every echo. */
  greetsAlways(client, bytes) {
    client.send(banner());
    client.send(bytes);
  },
  /** A banner after the echo. */
  greetsLate(client, bytes) {
    client.send(bytes);
    if (client.message === 1) client.send(banner());
  },
  /** Ten thousand that nobody asked for, after the first echo. */
  shouts(client, bytes) {
    client.send(bytes);
    if (client.message === 1) for (let sent = 0; sent < 10_000; sent++) client.send(GARBAGE);
  },
  /** Sends without end, as fast as it is read. */
  neverStops(client, bytes) {
    client.send(bytes);
    const more = (): void => {
      for (let sent = 0; sent < 100; sent++) if (client.send(GARBAGE) < 0) return;
      setTimeout(more, 1);
    };
    if (client.message === 1) more();
  },
  /** Answers every second flow alone. */
  everySecond(client, bytes) {
    if (client.number % 2 === 0) client.send(bytes);
  },
  /** Answers from another port than it was asked at, over UDP. */
  elsewhere(client, bytes) {
    client.sendFromElsewhere(bytes);
  },
  /** Echoes the beginning alone of what is long, as a program does whose buffer is short (socat's has 8,192 bytes). */
  cuts(client, bytes) {
    client.send(bytes.subarray(0, 8192));
  },
  /** An empty message for each. */
  empties(client) {
    client.send(new Uint8Array(0));
  },
};

const [kind, hostname, port] = process.argv.slice(2) as [string, string, string];
const answer = KINDS[kind]!;
const clients = new Map<string, Client>();

function take(client: Client, bytes: Uint8Array): void {
  client.message++;
  answer(client, bytes);
}

const elsewhere = await Bun.udpSocket({ hostname, port: Number(port) + 1, socket: { error() {} } });

await Bun.udpSocket({
  hostname,
  port: Number(port),
  socket: {
    data(socket, bytes, fromPort, from) {
      const name = `${from} ${fromPort}`;
      const send = (datagram: Uint8Array): number => {
        try {
          return socket.send(datagram, fromPort, from) ? datagram.length : 0;
        } catch {
          return -1; // ICMP says that the client has gone
        }
      };
      const sendFromElsewhere = (datagram: Uint8Array): void => sendTo(elsewhere, datagram, fromPort, from);
      const client = clients.get(name) ?? { number: clients.size + 1, message: 0, send, sendFromElsewhere };
      clients.set(name, client);
      take(client, bytes);
    },
    error() {},
  },
});

let sessions = 0;
Bun.listen<Client>({
  hostname,
  port: Number(port),
  socket: {
    open(socket) {
      const send = (bytes: Uint8Array): number => socket.write(bytes);
      socket.data = { number: ++sessions, message: 0, send, sendFromElsewhere: send };
    },
    data: (socket, bytes) => take(socket.data, bytes),
    error() {},
  },
});
