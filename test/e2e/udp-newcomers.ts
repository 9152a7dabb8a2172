import { Failure } from "../../src/client/failure.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import type { Datagram } from "../../src/client/udp-inbox.ts";
import { type Banner, readBanner } from "../../src/net/banner.ts";
import { type Endpoint, formatEndpoint } from "../../src/net/endpoint.ts";
import { endpointAt, good, PATIENCE_MS, type Target } from "./net.ts";

/** So long after its echo a banner may still come: it was overtaken then, and not lost. */
const LATE_MS = 1000;

/**
 * Source ports of newcomers: below those that a system gives by itself (32768 on Linux), and below the NodePorts. A
 * port that somebody's socket had a minute ago would be no newcomer's to the server: its session may live on there,
 * and a session has one banner.
 */
const FIRST_PORT = 10_000;
const PORTS = 20_000;

/** How a new session began. */
export interface Beginning {
  readonly own: Endpoint;
  /** Null where the echo came alone. */
  readonly banner: Banner | null;
  /** The banner came after the echo: UDP keeps no order. */
  readonly overtaken: boolean;
  /** Something of it came from another address than was asked (`DatagramStream`). */
  readonly astray: boolean;
  readonly roundTripMs: number;
}

/** What is known of one server beside what it answers, as text. @param server its own end, as its banner says */
export type Explain = (server: string) => Promise<string>;

/**
 * New UDP sessions, one after the other, on every address in turn, until `stop`: a datagram from a port that nobody had
 * before, its banner, its exact echo, and nothing else. Each socket stays open until `close`.
 *
 * A banner is a datagram like any other, and may be lost or overtaken on its way. So a newcomer that gets its echo alone
 * is asked about at once: another, from the next port, must have its banner, or the server gives none. Each is told with
 * all that may explain it; how many are too many is for the reader of `overtaken` and `unannounced` to say.
 */
export class UdpNewcomers {
  opened = 0;
  /** Those whose flow was moved to another Pod while they were served. */
  astray = 0;
  readonly failures: string[] = [];
  /** Those whose echo came before the banner. */
  readonly overtaken: string[] = [];
  /** Those whose echo came alone. */
  readonly unannounced: string[] = [];
  readonly #explain: Explain;
  readonly #everyMs: number;
  readonly #flows: UdpFlow[] = [];
  readonly #done: Promise<void>;
  #port = Math.floor(Math.random() * PORTS);
  #running = true;

  /** @param everyMs between the end of one and the next */
  constructor(targets: readonly Target[], explain: Explain, everyMs: number) {
    this.#explain = explain;
    this.#everyMs = everyMs;
    this.#done = this.#run(targets);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  close(): void {
    for (const flow of this.#flows) flow.end();
  }

  async #run(targets: readonly Target[]): Promise<void> {
    for (let turn = 0; this.#running; turn++) {
      const target = targets[turn % targets.length]!;
      const startedAt = new Date().toISOString();
      try {
        await this.#one(target, `newcomer ${turn}`, startedAt);
      } catch (error) {
        this.failures.push(`${startedAt} ${target.host}:${target.port} ${error}`);
      }
      await Bun.sleep(this.#everyMs);
    }
  }

  async #one(target: Target, payload: string, startedAt: string): Promise<void> {
    const beginning = await this.#ask(target, payload);
    this.opened++;
    if (beginning.astray) this.astray++;
    const { own, banner, overtaken, roundTripMs } = beginning;
    const what = `${startedAt} ${payload} ${formatEndpoint(own)} > ${target.host}:${target.port}: echo after ${roundTripMs.toFixed(1)} ms`;
    if (overtaken) this.overtaken.push(`${what}, the banner after it`);
    if (banner !== null) return;
    const next = await this.#ask(target, `${payload} once more`);
    if (next.banner === null) throw new Error(`no banner for ${payload}, nor for the next one`);
    const server = formatEndpoint(next.banner.server);
    const known = await this.#explain(server).catch((error) => `nothing is known of it: ${error}`);
    this.unannounced.push(
      `${what}, no banner; ${formatEndpoint(next.own)} had one of ${server}, whose figures are ${known}`,
    );
  }

  /** @throws when anything else comes than banner and exact echo, or no echo in time */
  async #ask(target: Target, payload: string): Promise<Beginning> {
    const flow = await this.#open(target);
    const unsent = flow.send(Buffer.from(payload));
    if (unsent !== null) throw new Error(`not sent: ${unsent}`);
    const answer = new Answer(payload);
    while (answer.banner === null || answer.roundTripMs === null) {
      const came = await flow.receive(answer.roundTripMs === null ? PATIENCE_MS : LATE_MS);
      if (!(came instanceof Failure)) answer.take(came, flow.isFromTarget(came));
      else if (came.code === "timeout" && answer.roundTripMs !== null) break;
      else throw new Error(`${came}${answer.banner === null ? "" : " after the banner"}`);
    }
    const { banner, overtaken, astray, roundTripMs } = answer;
    return { own: flow.local, banner, overtaken, astray, roundTripMs: roundTripMs! };
  }

  /** A flow from the next port that is free. */
  async #open(target: Target): Promise<UdpFlow> {
    for (let tries = 0; ; tries++) {
      const port = FIRST_PORT + (this.#port++ % PORTS);
      const flow = await UdpFlow.open(endpointAt(target), { source: { port } });
      if (flow instanceof Failure && flow.code === "port_in_use_here" && tries < PORTS) continue;
      const opened = good(target, flow);
      this.#flows.push(opened);
      return opened;
    }
  }
}

/** What has come in answer to a first datagram. */
class Answer {
  banner: Banner | null = null;
  roundTripMs: number | null = null;
  overtaken = false;
  astray = false;
  readonly #payload: Buffer;
  readonly #sentAtMs = performance.now();

  constructor(payload: string) {
    this.#payload = Buffer.from(payload);
  }

  /** @throws when it is neither the banner nor the exact echo, or comes again */
  take({ bytes, atMs }: Datagram, fromTarget: boolean): void {
    if (!fromTarget) this.astray = true;
    const banner = readBanner(bytes);
    if (banner !== null && this.banner === null) {
      this.banner = banner;
      this.overtaken = this.roundTripMs !== null;
    } else if (this.#payload.equals(bytes) && this.roundTripMs === null) {
      this.roundTripMs = atMs - this.#sentAtMs;
    } else {
      throw new Error(`not the echo of ${this.#payload}: ${Buffer.from(bytes).toString("latin1")}`);
    }
  }
}
