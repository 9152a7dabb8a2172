import { Failure } from "../../src/client/failure.ts";
import { FlowMessages } from "../../src/client/flow-messages.ts";
import { newRun } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import type { Datagram } from "../../src/client/udp-inbox.ts";
import { formatAddress } from "../../src/net/address.ts";
import { type Banner, BannerReader, readBanner } from "../../src/net/banner.ts";
import { type Endpoint, endpointOf, formatEndpoint, parseEndpoint } from "../../src/net/endpoint.ts";

/** Clients of the echo server on a cluster, as strict as one can be: every byte that comes back is looked at. */

/** No answer within this time is a failure: a lost SYN alone costs a second. */
export const PATIENCE_MS = 5000;

const STREAM_BYTES = 64;
const RUN = newRun();
let streams = 0;

/** Where a server is asked: an address as the cluster tells it, and a port. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What the server said of a session, as text, and where its payload begins. */
export interface Said {
  readonly server: string;
  readonly client: string;
  readonly via: string | null;
  readonly length: number;
}

/** A banner, and the address that the client had on this machine. */
export interface Answer extends Said {
  readonly from: string;
}

/** The banner at the start of a text; null where there is none, or not all of it. */
export function parseBanner(text: string): Said | null {
  const beginning = new BannerReader().take(Buffer.from(text, "latin1"));
  return beginning === null || beginning.banner === null ? null : saidBy(beginning.banner);
}

/** The address of `ip:port`, in brackets where that has them (`[fd00::1]:80`). @throws where it is none */
export function addressOf(endpoint: string): string {
  const parsed = parseEndpoint(endpoint);
  if (parsed === null) throw new Error(`${endpoint} is no address with a port`);
  return formatEndpoint(parsed).slice(0, -`:${parsed.port}`.length);
}

/**
 * One short TCP session: connects, sends, reads banner and echo, closes.
 * @param header goes before the payload and is not echoed (a PROXY header)
 * @throws when anything else than the banner and the exact echo comes, or nothing in time
 */
export async function tcpEcho(target: Target, payload: string, header = ""): Promise<Answer> {
  const options = { connectTimeoutMs: PATIENCE_MS, preamble: Buffer.from(header) };
  const session = good(target, await TcpSession.open(endpointAt(target), options));
  try {
    good(target, await session.echo(Buffer.from(payload), PATIENCE_MS));
    if (session.banner === null) throw new Error(`no banner from ${target.host}:${target.port}`);
    return { ...saidBy(session.banner), from: formatAddress(session.local.address) };
  } finally {
    await session.end();
  }
}

/**
 * One new UDP session: a datagram from a port of its own, the banner, the echo.
 * @throws when anything else comes, or not both in time
 */
export async function udpEcho(target: Target, payload: string): Promise<Said> {
  await using flow = good(target, await UdpFlow.open(endpointAt(target)));
  const receive = async (): Promise<Datagram> => {
    const came = good(target, await flow.receive(PATIENCE_MS));
    if (!flow.isFromTarget(came)) throw new Error(`not from ${target.host}:${target.port}: ${textOf(came)}`);
    return came;
  };
  const unsent = flow.send(Buffer.from(payload));
  if (unsent !== null) throw new Error(`not sent to ${target.host}:${target.port}: ${unsent}`);
  const first = await receive();
  const banner = readBanner(first.bytes);
  if (banner === null) throw new Error(`no banner but ${textOf(first)}`);
  const echo = textOf(await receive());
  if (echo !== payload) throw new Error(`not the echo of ${payload}: ${echo}`);
  return saidBy(banner);
}

/** How a session that was held open came to its end. */
export type Ending = "open" | "fin" | "reset";

/** A TCP session that is held open: it sends a line, waits for its echo, and so on, until the server ends it. */
export class HeldSession {
  /** Lines whose echo came back whole. */
  echoed = 0;
  /** What came that should not have; null when nothing did. */
  wrong: string | null = null;
  readonly #session: TcpSession;

  private constructor(session: TcpSession) {
    this.#session = session;
  }

  /** @param pauseMs between an echo and the next line */
  static async open(target: Target, pauseMs: number): Promise<HeldSession> {
    const options = { connectTimeoutMs: PATIENCE_MS };
    const held = new HeldSession(good(target, await TcpSession.open(endpointAt(target), options)));
    void held.#talk(pauseMs);
    return held;
  }

  get ending(): Ending {
    const { ended } = this.#session;
    if (ended === null) return "open";
    return ended.code === "reset" ? "reset" : "fin";
  }

  close(): void {
    void this.#session.end();
  }

  async #talk(pauseMs: number): Promise<void> {
    for (;;) {
      const line = `line ${this.echoed}\n`;
      const echo = await this.#session.echo(Buffer.from(line), Number.POSITIVE_INFINITY);
      if (echo instanceof Failure) {
        if (echo.received !== null) this.wrong = `${Buffer.from(echo.received)} for ${line}`;
        break;
      }
      this.echoed++;
      await Bun.sleep(pauseMs);
    }
    await this.#session.end();
  }
}

/**
 * A UDP flow from one port: a datagram every `everyMs`, and a count of those that came back.
 *
 * When a Pod leaves, kube-proxy ends the translation of the flows it has (conntrack) so that they find another Pod. The
 * echo of a datagram that is inside the Pod in that moment then leaves the node as it is: from the Pod's own address,
 * which a connected socket, any `nc -u`, does not take. The server has answered it, and can do nothing about it. This
 * flow is not connected, so it sees such an echo come astray and tells it from one that never came.
 */
export class DatagramStream {
  banners = 0;
  /** Echoes that came from another address than was asked. */
  astray = 0;
  readonly #flow: UdpFlow;
  readonly #messages = new FlowMessages({ run: RUN, flow: streams++ }, STREAM_BYTES, PATIENCE_MS);
  readonly #timer: Timer;
  /** The latest one whose echo came; -1 before the first. */
  #newest = -1;

  private constructor(flow: UdpFlow, everyMs: number) {
    this.#flow = flow;
    // One that is not sent, for the news of an earlier one (ICMP, from a Pod that has gone), counts as lost.
    this.#timer = setInterval(() => flow.send(this.#messages.next(performance.now())), everyMs);
  }

  static async start(target: Target, everyMs: number): Promise<DatagramStream> {
    const flow = good(target, await UdpFlow.open(endpointAt(target)));
    const stream = new DatagramStream(flow, everyMs);
    void stream.#receive();
    return stream;
  }

  get sent(): number {
    return this.#messages.counts.sent;
  }

  /** Those that came back from nowhere at all. */
  get lost(): number {
    const { sent, answered, late } = this.#messages.counts;
    return sent - answered - late;
  }

  /** Whether the latest datagrams come back. */
  get alive(): boolean {
    return this.#newest >= Math.max(0, this.sent - 5);
  }

  /** Sends no more, and waits for what is on its way: until all is back, or for `seconds`. */
  async stop(seconds: number): Promise<void> {
    clearInterval(this.#timer);
    const until = performance.now() + seconds * 1000;
    while (this.lost > 0 && performance.now() < until) await Bun.sleep(10);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#flow.end();
  }

  async #receive(): Promise<void> {
    for (;;) {
      const came = await this.#flow.receive(Number.POSITIVE_INFINITY);
      if (!(came instanceof Failure)) this.#take(came);
      else if (came.code === "ended") return;
    }
  }

  #take(came: Datagram): void {
    if (readBanner(came.bytes) !== null) {
      this.banners++;
      return;
    }
    const { number, roundTripMs } = this.#messages.take(came.bytes, came.atMs);
    if (number === null || roundTripMs === null) return;
    this.#newest = Math.max(this.#newest, number);
    if (!this.#flow.isFromTarget(came)) this.astray++;
  }
}

/** New TCP sessions, one after the other, on every address in turn, until `stop`. */
export class TcpNewcomers {
  opened = 0;
  readonly failures: string[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(targets: readonly Target[], everyMs: number) {
    this.#done = this.#run(targets, everyMs);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(targets: readonly Target[], everyMs: number): Promise<void> {
    for (let turn = 0; this.#running; turn++) {
      const target = targets[turn % targets.length]!;
      try {
        await tcpEcho(target, `newcomer ${turn}`);
        this.opened++;
      } catch (error) {
        this.failures.push(`${new Date().toISOString()} ${target.host}:${target.port} ${error}`);
      }
      await Bun.sleep(everyMs);
    }
  }
}

/** @throws where the host is no address */
export function endpointAt({ host, port }: Target): Endpoint {
  const endpoint = endpointOf(host, port);
  if (endpoint === null) throw new Error(`${host} is no address`);
  return endpoint;
}

function saidBy({ server, client, via, length }: Banner): Said {
  return {
    server: formatEndpoint(server),
    client: formatEndpoint(client),
    via: via === null ? null : formatEndpoint(via),
    length,
  };
}

function textOf({ bytes }: Datagram): string {
  return Buffer.from(bytes).toString("latin1");
}

/** What is no failure. @throws with the failure, and where it was met */
export function good<T>({ host, port }: Target, value: T | Failure): T {
  if (!(value instanceof Failure)) return value;
  const came = value.received === null ? "" : `, got ${Buffer.from(value.received)}`;
  throw new Error(`${host}:${port}: ${value}${came}`);
}
