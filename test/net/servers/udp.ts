import { sendTo } from "../../clients/send-to.ts";

/**
 * Small UDP servers, each wrong in one way, and one that is right: a plain echo without a banner (RFC 862). In a test's
 * own process by `startUdp`; on another host by `bun udp.ts FAULT ADDRESS PORT`, which prints the port once it is bound.
 * What they say has right UDP checksums, so that it arrives.
 */

/** A client by its address and port, as a fault sees it. */
export interface Client {
  /** From 1, in the order in which they came. */
  readonly number: number;
  /** Datagrams it has sent, this one included. */
  readonly message: number;
  send(bytes: Uint8Array): void;
  /** From another port of the server's. */
  sendFromElsewhere(bytes: Uint8Array): void;
}

/** What a server does with a datagram. */
type Answer = (client: Client, bytes: Uint8Array, server: Memory) => void;

/** A server's memory: a datagram that is kept for later, and who its clients are. */
interface Memory {
  kept: { readonly client: Client; readonly bytes: Uint8Array } | null;
  /** By number, as each was last seen. */
  readonly clients: Map<number, Client>;
}

/** A fault that shows now and then shows in each of a client's datagrams whose number is three more than a multiple. */
const EVERY = 5;

/** What the server says that is no echo server. */
export const FOREIGN = "220 mail.example ready\r\n";

const echo: Answer = (client, bytes) => client.send(bytes);

/** Wrong with every fifth datagram of a client, else an echo. */
function nowAndThen(wrong: Answer): Answer {
  return (client, bytes, server) =>
    client.message % EVERY === 3 ? wrong(client, bytes, server) : client.send(bytes);
}

export const FAULTS = {
  none: echo,
  silent() {},
  drops: nowAndThen(() => {}),
  dropsFirst: (client, bytes) => void (client.message > 1 && client.send(bytes)),
  /** Of every second client it answers nothing. */
  deafToEverySecond: (client, bytes) => void (client.number % 2 === 1 && client.send(bytes)),
  doubles: nowAndThen((client, bytes) => {
    client.send(bytes);
    client.send(bytes);
  }),
  /** Answers every fifth after the one that follows it. */
  reorders(client, bytes, server) {
    const { kept } = server;
    if (client.message % EVERY === 3) server.kept = { client, bytes };
    else {
      client.send(bytes);
      if (kept === null) return;
      kept.client.send(kept.bytes);
      server.kept = null;
    }
  },
  corrupts: nowAndThen((client, bytes) => {
    const changed = Uint8Array.from(bytes);
    changed[changed.length - 1]! ^= 1;
    client.send(changed);
  }),
  /** Gives the third of each client to another one, two and two: all get what another sent if they are of even number. */
  swaps(client, bytes, server) {
    const { kept } = server;
    if (client.message !== 3) client.send(bytes);
    else if (kept === null) server.kept = { client, bytes };
    else {
      kept.client.send(bytes);
      client.send(kept.bytes);
      server.kept = null;
    }
  },
  /** Gives the third of every second client to the one before it, which gets its own as well. */
  misdelivers(client, bytes, server) {
    const other = server.clients.get(client.number - 1);
    if (client.message === 3 && client.number % 2 === 0) other?.send(bytes);
    else client.send(bytes);
  },
  elsewhere: (client, bytes) => client.sendFromElsewhere(bytes),
  foreign: (client) => client.send(new TextEncoder().encode(FOREIGN)),
  /** Says the banner to each new client, and echoes nothing. */
  greetsOnly: (client) => void (client.message === 1 && client.send(banner())),
  /** Has a banner for none but every second client. */
  greetsEverySecond(client, bytes) {
    if (client.message === 1 && client.number % 2 === 0) client.send(banner());
    client.send(bytes);
  },
  /** Echoes, and sends on and on what nobody asked for. */
  floods(client, bytes) {
    client.send(bytes);
    if (client.message === 1) setInterval(() => client.send(new TextEncoder().encode(FOREIGN)), 1).unref();
  },
} satisfies Record<string, Answer>;

export type FaultName = keyof typeof FAULTS;

/** What the servers that greet say they are, whoever asks. */
function banner(): Uint8Array {
  const lines = ["Thu Nov 26 01:02:03 UTC 2026", "Server: 127.0.0.1:7", "Client: 127.0.0.1:9", "", ""];
  return new TextEncoder().encode(lines.join("\n"));
}

export interface FaultyServer extends Disposable {
  readonly port: number;
  /** Where it answers from that answers from elsewhere. */
  readonly otherPort: number;
}

export async function startUdp(name: FaultName, address = "127.0.0.1", port = 0): Promise<FaultyServer> {
  const error = (): void => {}; // ICMP of clients that are gone
  const clients = new Map<string, { readonly number: number; message: number }>();
  const memory: Memory = { kept: null, clients: new Map() };
  const answer: Answer = FAULTS[name];
  const other = await Bun.udpSocket({ hostname: address, socket: { error } });
  const socket = await Bun.udpSocket({
    hostname: address,
    port,
    socket: {
      error,
      data(own, datagram, from, host) {
        const key = `${host} ${from}`;
        const client = clients.get(key) ?? { number: clients.size + 1, message: 0 };
        clients.set(key, client);
        client.message++;
        const send = (by: typeof own, bytes: Uint8Array): void => {
          sendTo(by, bytes, from, host);
        };
        const seen: Client = {
          ...client,
          send: (bytes) => send(own, bytes),
          sendFromElsewhere: (bytes) => send(other, bytes),
        };
        memory.clients.set(client.number, seen);
        answer(seen, Uint8Array.from(datagram), memory);
      },
    },
  });
  const close = (): void => {
    socket.close();
    other.close();
  };
  return { port: socket.port, otherPort: other.port, [Symbol.dispose]: close };
}

if (import.meta.main) {
  const [name = "none", address = "127.0.0.1", port = "0"] = process.argv.slice(2);
  if (!(name in FAULTS)) throw new Error(`${name} is none of ${Object.keys(FAULTS).join(", ")}`);
  const server = await startUdp(name as FaultName, address, Number(port));
  console.log(server.port);
}
