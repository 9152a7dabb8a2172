import { dialByBun } from "../../src/client/bun/dial.ts";
import { adoptingDial } from "../../src/client/bun/dial-adopted.ts";
import type { Dial } from "../../src/client/dial.ts";
import { dialByCalls } from "../../src/client/linux/dial.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { sendTo } from "../clients/send-to.ts";

import { endpoint } from "./fixtures.ts";

/** Servers that the tests of the client ask: small ones, right or wrong on purpose. */

/** Every way of making a connection that there is on this machine. */
export const DIALS: [string, Dial][] = [["Bun alone", dialByBun]];
const byLinux = adoptingDial();
if (byLinux !== null) DIALS.unshift(["system calls", byLinux], ["system calls alone", dialByCalls]);

export interface TestServer extends Disposable {
  readonly endpoint: Endpoint;
}

/** What a test's server does with its sessions. */
export interface TcpBehaviour {
  opened?(socket: Bun.Socket<undefined>): void;
  /** Default: echoes, as long as the kernel takes it. */
  received?(socket: Bun.Socket<undefined>, bytes: Buffer): void;
  /** The client's FIN. Default: FIN back. */
  finished?(socket: Bun.Socket<undefined>): void;
}

/** A TCP server on loopback that keeps its end open until told otherwise. */
export function tcpServer(behaviour: TcpBehaviour = {}): TestServer {
  const listener = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: (socket) => behaviour.opened?.(socket),
      data: behaviour.received ?? ((socket, bytes) => void socket.write(bytes)),
      end: behaviour.finished ?? ((socket) => socket.end()),
      error() {},
    },
  });
  return {
    endpoint: endpoint(`127.0.0.1:${listener.port}`),
    [Symbol.dispose]: () => listener.stop(true),
  };
}

/** What a UDP server of a test does with a datagram. */
export type UdpBehaviour = (datagram: Buffer, send: (bytes: Uint8Array) => void) => void;

/** A UDP server on loopback. Default: it echoes. */
export async function udpServer(
  answer: UdpBehaviour = (datagram, send) => send(datagram),
): Promise<TestServer> {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data: (own, datagram, port, host) => answer(datagram, (bytes) => sendTo(own, bytes, port, host)),
      error() {},
    },
  });
  return { endpoint: endpoint(`127.0.0.1:${socket.port}`), [Symbol.dispose]: () => socket.close() };
}

/** A port on which nobody listens: it was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

export interface Socat extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly pid: number;
}

/**
 * A plain echo by socat on loopback: `cat` or a pipe answers.
 * @param options of its listening address, each after a comma: `,backlog=1`
 */
export async function socatEcho(protocol: "TCP" | "UDP", options = ""): Promise<Socat> {
  const listen = `${protocol}4-LISTEN:0,bind=127.0.0.1,fork${options}`;
  const child = Bun.spawn(["socat", "-dd", listen, "PIPE"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    detached: true, // in a process group of its own: what it forks ends with it
  });
  const port = await listeningPort(child.stderr);
  return {
    endpoint: endpoint(`127.0.0.1:${port}`),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      process.kill(-child.pid, "SIGKILL");
      await child.exited;
    },
  };
}

/** The port in socat's "listening on AF=2 127.0.0.1:41234". */
async function listeningPort(log: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of log) {
    text += new TextDecoder().decode(chunk);
    const match = /listening on (?:UDP )?AF=2 127\.0\.0\.1:(\d+)/.exec(text);
    if (match !== null) return Number(match[1]);
  }
  throw new Error(`socat does not listen: ${text}`);
}
