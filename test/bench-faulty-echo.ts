/** Echo servers that are wrong on purpose, for the tests of the load generator. */

/** What is done to a message instead of sending it back as it came. */
export type Fault = "corrupt" | "drop" | "duplicate" | "reorder" | "late" | "delay" | "none";

export interface FaultyEcho extends Disposable {
  readonly port: number;
  /** Messages it was wrong with so far. */
  readonly faults: number;
  /** Messages it was asked for. */
  readonly messages: number;
  /** Called with each message before it is answered. */
  onMessage: () => void;
}

export const MESSAGE_BYTES = 64;
export const DELAY_MS = 300;

/** One message in so many is wrong, so many times in all (but delayed as long as it goes on). */
const ONE_IN = 25;
const FAULTS_MAX = 10;

/** Sends messages of one session back through `send`, some of them wrong. */
class Culprit {
  faults = 0;
  messages = 0;
  onMessage = (): void => {};

  constructor(readonly fault: Fault) {}

  /** @param held a message of this session that waits for the next one; at most one */
  answer(message: Uint8Array, held: Uint8Array[], send: (bytes: Uint8Array) => void): void {
    this.messages++;
    this.onMessage();
    const wrong = this.#mayFail() && this.messages % ONE_IN === 0;
    if (wrong && held.length === 0) {
      this.faults++;
      this.#spoil(message.slice(), held, send);
      return;
    }
    send(message);
    const late = held.pop();
    if (late !== undefined) send(late);
  }

  #mayFail(): boolean {
    return this.fault === "delay" || (this.fault !== "none" && this.faults < FAULTS_MAX);
  }

  #spoil(message: Uint8Array, held: Uint8Array[], send: (bytes: Uint8Array) => void): void {
    switch (this.fault) {
      case "corrupt":
        message[MESSAGE_BYTES / 2]! ^= 1;
        send(message);
        break;
      case "duplicate":
        send(message);
        send(message);
        break;
      case "reorder":
        held.push(message);
        break;
      case "late":
      case "delay":
        setTimeout(() => send(message), DELAY_MS);
        break;
      default: // drop
    }
  }
}

interface Stream {
  rest: Uint8Array;
  readonly held: Uint8Array[];
}

/** Messages of `MESSAGE_BYTES` over TCP. What is sent is small, so the kernel takes it at once. */
export function faultyTcp(fault: Fault): FaultyEcho {
  const culprit = new Culprit(fault);
  const listener = Bun.listen<Stream>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { rest: new Uint8Array(0), held: [] };
      },
      data(socket, chunk) {
        const { data } = socket;
        const bytes = Buffer.concat([data.rest, chunk]);
        let at = 0;
        for (; at + MESSAGE_BYTES <= bytes.length; at += MESSAGE_BYTES) {
          culprit.answer(bytes.subarray(at, at + MESSAGE_BYTES), data.held, (out) => void socket.write(out));
        }
        data.rest = bytes.subarray(at);
      },
    },
  });
  return echo(culprit, listener.port, () => listener.stop(true));
}

/** Datagrams of `MESSAGE_BYTES`; others come back as they are. */
export async function faultyUdp(fault: Fault): Promise<FaultyEcho> {
  const culprit = new Culprit(fault);
  const held = new Map<number, Uint8Array[]>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(own, bytes, port, address) {
        const send = (out: Uint8Array): void => void own.send(out, port, address);
        if (bytes.length !== MESSAGE_BYTES) return send(bytes);
        const kept = held.get(port) ?? [];
        held.set(port, kept);
        culprit.answer(bytes, kept, send);
      },
    },
  });
  return echo(culprit, socket.port, () => socket.close());
}

function echo(culprit: Culprit, port: number, stop: () => void): FaultyEcho {
  return {
    port,
    get faults() {
      return culprit.faults;
    },
    get messages() {
      return culprit.messages;
    },
    set onMessage(call: () => void) {
      culprit.onMessage = call;
    },
    [Symbol.dispose]: stop,
  };
}
