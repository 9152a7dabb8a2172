import { closeSync, openSync } from "node:fs";
import { sleep } from "../../src/client/deadlines.ts";
import { Failure } from "../../src/client/failure.ts";
import { linuxSockets } from "../../src/client/linux/sockets.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import type { Datagram } from "../../src/client/udp-inbox.ts";
import { formatAddress } from "../../src/net/address.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { endpoint, message } from "./fixtures.ts";

/**
 * Asks by system calls from inside a process of its own, whose network or limits are not the test's, and prints what
 * came as JSON: `linux-ask.ts [--full] [--hold] ASK...`, each an `Ask` as JSON.
 */
export interface Ask {
  readonly tcp?: string;
  readonly udp?: string;
  /** Payload bytes of the datagrams, one after the other. */
  readonly sizes?: readonly number[];
  readonly connected?: boolean;
  readonly dontFragment?: boolean;
  /** How much is to come of each datagram. Default: one thing. */
  readonly expect?: number;
  readonly timeoutMs?: number;
  /** Echoes of a TCP session, and the pause before each but the first. Default: one. */
  readonly echoes?: number;
  readonly pauseMs?: number;
}

/** What came, in text and numbers. */
export type Came = Record<string, string | number | null>;

const TIMEOUT_MS = 10_000;
const sockets = linuxSockets()!;
const held: AsyncDisposable[] = [];

async function askUdp(text: string, ask: Ask): Promise<Came[]> {
  const { connected = false, dontFragment = false } = ask;
  const flow = await UdpFlow.open(endpoint(text), { connected, dontFragment, open: sockets.openUdp });
  if (flow instanceof Failure) return [told(flow)];
  held.push(flow);
  const came: Came[] = [];
  for (const [number, size] of (ask.sizes ?? [64]).entries()) {
    const notSent = flow.send(message(number, size));
    if (notSent !== null) came.push({ ...told(notSent), sent: 0 });
    for (let at = 0; notSent === null && at < (ask.expect ?? 1); at++) {
      const item = await flow.receive(ask.timeoutMs ?? TIMEOUT_MS);
      came.push(item instanceof Failure ? told(item) : described(item));
    }
  }
  return came;
}

async function askTcp(text: string, ask: Ask): Promise<Came[]> {
  const { timeoutMs = TIMEOUT_MS, echoes = 1, pauseMs = 0 } = ask;
  const options = { connectTimeoutMs: timeoutMs, dial: sockets.dial };
  const session = await TcpSession.open(endpoint(text), options);
  if (session instanceof Failure) return [told(session)];
  held.push(session);
  let echo = await session.echo(message(0), timeoutMs);
  for (let number = 1; number < echoes && !(echo instanceof Failure); number++) {
    await sleep(pauseMs);
    echo = await session.echo(message(number), timeoutMs);
  }
  const { mss = null, pathMtu = null, retransmits = null } = session.info ?? {};
  return [echo instanceof Failure ? told(echo) : { code: "well", mss, pathMtu, retransmits }];
}

function told({ code, icmp }: Failure): Came {
  const to = icmp?.to ?? null;
  return {
    code,
    by: icmp === null ? null : formatAddress(icmp.by),
    to: to === null ? null : formatEndpoint(to),
    mtu: icmp?.mtu ?? null,
  };
}

function described({ bytes, from, to, ttl, fragmentBytes }: Datagram): Came {
  return {
    bytes: bytes.length,
    from: from === null ? null : formatEndpoint(from),
    to: to === null ? null : formatAddress(to),
    ttl,
    fragmentBytes,
  };
}

/** Takes all descriptors that this process may have. */
function takeAllDescriptors(): number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    return taken; // EMFILE: there are no more
  }
}

async function main(args: readonly string[]): Promise<void> {
  const taken = args.includes("--full") ? takeAllDescriptors() : [];
  const said: Came[][] = [];
  for (const text of args.filter((arg) => arg.startsWith("{"))) {
    const ask: Ask = JSON.parse(text);
    said.push(ask.udp === undefined ? await askTcp(ask.tcp!, ask) : await askUdp(ask.udp, ask));
    if (args.includes("--hold")) continue;
    for (const each of held.splice(0)) await each[Symbol.asyncDispose]();
  }
  for (const each of held) await each[Symbol.asyncDispose]();
  for (const fd of taken) closeSync(fd);
  await sleep(0);
  process.stdout.write(JSON.stringify(said));
}

if (import.meta.main) await main(process.argv.slice(2));
