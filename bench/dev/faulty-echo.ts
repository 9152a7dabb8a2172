import { SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../src/sys/libc.ts";
import { setOption } from "../../src/sys/socket.ts";
import { PROBE_BYTES } from "../run/banner-probe.ts";
import { Culprit, type Fault, MESSAGE_BYTES, type Peer } from "./culprit.ts";

/** Echo servers that are wrong on purpose, in one way each: what the bench must see is known beforehand. */

export interface FaultyEcho extends Disposable {
  readonly port: number;
  /** Messages it was wrong with so far. */
  readonly faults: number;
  /** Messages it was asked for. */
  readonly messages: number;
  /** Called with each message before it is answered. */
  onMessage: () => void;
}

const BUFFER_BYTES = 16 * 1024 * 1024;
/** As SO_RCVBUF, past the machine's maximum: for root alone (socket(7)). */
const SO_RCVBUFFORCE = 33;

interface Connection extends Peer {
  rest: Uint8Array;
  unsent: Uint8Array;
}

/** Datagrams that are handed to the kernel in one call. */
const TOGETHER = 256;

const NOTHING = new Uint8Array(0);

/** Messages of `size` bytes over TCP. */
export function faultyTcp(fault: Fault, size = MESSAGE_BYTES): FaultyEcho {
  const culprit = new Culprit(fault);
  const push = (socket: Bun.Socket<Connection>, bytes: Uint8Array): void => {
    const { data } = socket;
    const all = data.unsent.length === 0 ? bytes : Buffer.concat([data.unsent, bytes]);
    const sent = Math.max(0, socket.write(all));
    data.unsent = sent === all.length ? NOTHING : all.slice(sent);
  };
  const listener = Bun.listen<Connection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = {
          send: (bytes) => push(socket, bytes),
          sendAll: (messages) => push(socket, Buffer.concat(messages)),
          close: () => socket.end(),
          stopReading: () => socket.pause(),
          held: null,
          rest: NOTHING,
          unsent: NOTHING,
        };
      },
      data(socket, chunk) {
        const { data } = socket;
        const bytes = data.rest.length === 0 ? chunk : Buffer.concat([data.rest, chunk]);
        let at = 0;
        for (; at + size <= bytes.length; at += size) culprit.answer(bytes.subarray(at, at + size), data);
        data.rest = bytes.slice(at);
        // The bench asks first whether a banner comes: with too few bytes for a message.
        if (culprit.messages === 0 && data.rest.length === PROBE_BYTES) push(socket, data.rest);
      },
      drain: (socket) => push(socket, NOTHING),
      close: (socket) => void culprit.peers.delete(socket.data),
    },
  });
  culprit.goAway = () => listener.stop(true);
  return echo(culprit, listener.port, () => listener.stop(true));
}

/** Datagrams of `size` bytes; others come back as they are. */
export async function faultyUdp(fault: Fault, size = MESSAGE_BYTES): Promise<FaultyEcho> {
  const culprit = new Culprit(fault);
  const peers = new Map<number, Peer>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(own, bytes, port, address) {
        if (bytes.length !== size) return void own.send(bytes, port, address);
        let peer = peers.get(port);
        if (peer === undefined) {
          const send = (out: Uint8Array): void => void own.send(out, port, address);
          const sendAll = (messages: readonly Uint8Array[]): void => {
            for (let from = 0; from < messages.length; from += TOGETHER) {
              const some = messages.slice(from, from + TOGETHER);
              const sent = own.sendMany(some.flatMap((message) => [message, port, address]));
              for (const left of some.slice(sent)) send(left);
            }
          };
          peer = { send, sendAll, close() {}, stopReading() {}, held: null };
          peers.set(port, peer);
        }
        culprit.answer(bytes, peer);
      },
    },
  });
  widen(socket);
  culprit.goAway = () => socket.close();
  return echo(culprit, socket.port, () => socket.close());
}

/** What a busy machine keeps this process from reading is not to be lost: only what it drops on purpose is. */
function widen(socket: object): void {
  if (!("fd" in socket) || typeof socket.fd !== "number") return;
  for (const option of [SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF])
    setOption(socket.fd, SOL_SOCKET, option, BUFFER_BYTES);
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
    [Symbol.dispose]() {
      culprit[Symbol.dispose]();
      stop();
    },
  };
}
