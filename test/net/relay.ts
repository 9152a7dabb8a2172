import { sendTo } from "../clients/send-to.ts";

/**
 * A UDP relay with a fault, for what this kernel's netfilter cannot do: `bun relay.ts FAULT PORT HOST PORT`. Each client has a socket
 * of its own to the target. What has the size of an echo suffers; banners pass. Checksums are right, so what is changed arrives.
 */

/** Payloads of this size are echoes. */
const ECHO_BYTES = 64;
/** Of so many echoes one suffers, where not all do. */
const EVERY = 5;
/** One way. */
const DELAY_MS = 30;

type Send = (datagram: Uint8Array) => void;

/** What becomes of an echo on its way to the client. @param others the ways to all other clients */
type Fault = (echo: Buffer, number: number, send: Send, others: () => Send[]) => void;

let held: (() => void) | null = null;

const FAULTS: Readonly<Record<string, Fault>> = {
  delays: (echo, _number, send) => void setTimeout(() => send(echo), DELAY_MS),
  doubles(echo, _number, send) {
    send(echo);
    send(echo);
  },
  /** One of so many is overtaken by the next. */
  swaps(echo, number, send) {
    if (number % EVERY === 0 && held === null) {
      held = () => send(echo);
      return;
    }
    send(echo);
    held?.();
    held = null;
  },
  corrupts(echo, number, send) {
    if (number % EVERY === 0) echo[ECHO_BYTES - 1]! ^= 0x10;
    send(echo);
  },
  /** One of so many goes to another client. */
  crosses(echo, number, send, others) {
    const [other] = number % EVERY === 0 ? others() : [];
    (other ?? send)(echo);
  },
};

const [name, port, host, targetPort] = process.argv.slice(2) as [string, string, string, string];
const fault = FAULTS[name]!;
const clients = new Map<string, Promise<{ there: Send; back: Send }>>();
const ready: Send[] = [];
let echoes = 0;

/** The way from a client to the target, and back. */
async function open(back: Send): Promise<{ there: Send; back: Send }> {
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port: Number(targetPort) },
    socket: {
      data(_socket, datagram) {
        if (datagram.length !== ECHO_BYTES) return back(datagram);
        fault(Buffer.from(datagram), ++echoes, back, () => ready.filter((other) => other !== back));
      },
      error() {},
    },
  });
  ready.push(back);
  return { there: (datagram) => void socket.send(datagram), back };
}

await Bun.udpSocket({
  hostname: "::",
  port: Number(port),
  socket: {
    async data(socket, datagram, fromPort, from) {
      const bytes = Buffer.from(datagram); // Bun's is used again while this waits
      const key = `${from} ${fromPort}`;
      const client = clients.get(key) ?? open((answer) => sendTo(socket, answer, fromPort, from));
      clients.set(key, client);
      const { there } = await client;
      if (name === "delays") setTimeout(() => there(bytes), DELAY_MS);
      else there(bytes);
    },
    error() {},
  },
});
