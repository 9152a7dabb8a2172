import { Failure } from "../../client/failure.ts";
import { type FlowKey, makePayload, readPayload } from "../../client/payload.ts";
import { type Counts, Tracker } from "../../client/tracker.ts";
import { UdpFlow } from "../../client/udp-flow.ts";
import type { Datagram } from "../../client/udp-inbox.ts";
import { type Banner, readBanner } from "../../net/banner.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { hopsOf } from "../hops.ts";
import { flowText } from "../words.ts";
import {
  faultOf,
  isOverdue,
  type Outcome,
  PAYLOAD_BYTES,
  type PeerProbe,
  type ProbeContext,
  SILENT_MAX,
  seenOf,
  tookMs,
  UNDER_WAY_MAX,
} from "./probe.ts";

/** An echo may overtake the banner that was sent before it, by less than this. */
const BANNER_MS = 100;

/** Messages of a flow that are remembered, to know one that comes again: more than come in any time that a path keeps one. */
const WINDOW = 128;

/** An echo that came in time and does not say yet who sent it. */
interface Unnamed {
  readonly number: number;
  readonly datagram: Datagram;
}

/** What comes besides echoes. */
type Meanwhile = Pick<Counts, "duplicated" | "reordered" | "corrupted">;
const NOTHING: Meanwhile = { duplicated: 0, reordered: 0, corrupted: 0 };

/** A flow that is held. */
interface Held {
  readonly flow: UdpFlow;
  readonly key: FlowKey;
  /** Both ends, where this one is known. */
  readonly text: string | null;
  readonly tracker: Tracker;
  /** When the messages were sent whose fate is not decided, by their numbers. */
  readonly underWay: Map<number, number>;
  /** What the server said of the flow last. */
  banner: Banner | null;
  unnamed: Unnamed | null;
  /** Whether it was answered or had its first loss: from then on it sends each interval, whatever comes. */
  isSteady: boolean;
  /** Probes of it in a row that were not answered as they must be. */
  silent: number;
  /** Datagrams that came in the place of messages not known: each stands for one that is missing at its deadline. */
  strays: number;
  /** What ICMP said last, and when. */
  news: { readonly failure: Failure; readonly atMs: number } | null;
}

/**
 * `udp`: one socket, and so one source port, for as long as it is answered by one that says who it is; then another. Two
 * datagrams at once on a new flow would race for its entry in conntrack: until its first answer or loss one is under way.
 */
export class UdpHeld implements PeerProbe {
  readonly #context: ProbeContext;
  readonly #end: Endpoint;
  /** The one that probes go by; null while there is none. */
  #held: Held | null = null;
  /** All that are open: that one, and others whose last probes are still waited for. */
  readonly #flows = new Set<Held>();
  #isOpening = false;
  /** One was due while another was in the way; it goes when that is decided. */
  #isDue = false;
  /** What came since the last probe was told. */
  #meanwhile: Meanwhile = { ...NOTHING };
  #over = false;

  constructor(context: ProbeContext, end: Endpoint) {
    this.#context = context;
    this.#end = end;
  }

  due(): void {
    const held = this.#held;
    const isInTheWay =
      held === null ? this.#isOpening : held.unnamed !== null || (!held.isSteady && held.underWay.size > 0);
    this.#isDue = isInTheWay;
    if (this.#over || isInTheWay) return;
    if (held === null) void this.#open();
    else if (held.underWay.size < UNDER_WAY_MAX) this.#send(held);
  }

  look(nowMs: number): void {
    for (const held of this.#flows) {
      this.#lookForBanner(held, nowMs);
      this.#lookForLosses(held, nowMs);
      if (this.#held !== held && held.underWay.size === 0) this.#close(held);
    }
    if (this.#isDue) this.due();
  }

  /** Lets the flow go, once what is under way is decided. The next probe goes by a new one. */
  release(): void {
    this.#held = null;
  }

  end(): void {
    this.#over = true;
    for (const held of this.#flows) this.#close(held);
  }

  async #open(): Promise<void> {
    const { timeoutMs } = this.#context.question;
    this.#isOpening = true;
    const sentMs = this.#context.agenda.now();
    const own = await this.#context.ownEnd();
    const flow = await UdpFlow.open(this.#end, { open: this.#context.sockets.openUdp });
    this.#isOpening = false;
    if (flow instanceof Failure) {
      this.#tell({ fault: faultOf(flow), sentMs, isSent: false, banner: null });
      return;
    }
    if (this.#over) {
      flow.end();
      return;
    }
    const held: Held = {
      ...{ flow, key: this.#context.newKey(), tracker: new Tracker(timeoutMs, WINDOW), underWay: new Map() },
      text: own === null ? null : flowText("udp", { ...own, port: flow.local.port }, this.#end),
      ...{ banner: null, unnamed: null, isSteady: false, silent: 0, strays: 0, news: null },
    };
    this.#held = held;
    this.#flows.add(held);
    void this.#receive(held);
    this.#send(held);
  }

  #send(held: Held): void {
    const { agenda } = this.#context;
    const sentMs = agenda.now();
    const number = held.tracker.send(agenda.stalls.awakeAt(sentMs));
    held.underWay.set(number, sentMs);
    const failure = held.flow.send(makePayload(held.key, number, PAYLOAD_BYTES));
    if (failure !== null) this.#decide(held, number, { fault: faultOf(failure), isSent: false });
  }

  async #receive(held: Held): Promise<void> {
    for (;;) {
      const came = await held.flow.receive(Number.POSITIVE_INFINITY);
      const nowMs = this.#context.agenda.now();
      if (!(came instanceof Failure)) this.#take(held, came);
      else if (came.code === "ended" || came.code === "aborted") return;
      // It may be of a datagram that is long lost: one that is under way is not judged by it before its time is up.
      else held.news = { failure: came, atMs: nowMs };
    }
  }

  #take(held: Held, datagram: Datagram): void {
    const { bytes } = datagram;
    if (!held.flow.isFromTarget(datagram)) {
      this.#takeStrange(held, datagram);
      return;
    }
    const banner = readBanner(bytes);
    if (banner === null) {
      this.#takePayload(held, datagram);
      return;
    }
    held.banner = banner; // a server that was restarted says it anew
    if (held.unnamed !== null) this.#answered(held, held.unnamed);
  }

  #takePayload(held: Held, datagram: Datagram): void {
    const atMs = this.#context.agenda.stalls.awakeAt(datagram.atMs);
    const reading = this.#read(held, datagram.bytes);
    if (reading.kind === "own") {
      this.#takeEcho(held, { number: reading.number, datagram }, atMs);
      return;
    }
    this.#meanwhile.corrupted++; // another's payload is no right one either
    const number = reading.kind === "corrupted" ? reading.number : null;
    if (number === null) {
      held.strays = Math.min(held.underWay.size, held.strays + 1);
      return;
    }
    held.tracker.corrupted(number, atMs);
    this.#decide(held, number, { fault: "corrupted", isSent: true });
  }

  #takeEcho(held: Held, echo: Unnamed, atMs: number): void {
    const { tracker } = held;
    const { reordered } = tracker.counts;
    const what = tracker.echo(echo.number, atMs);
    this.#meanwhile.reordered += tracker.counts.reordered - reordered;
    if (what === "duplicated") this.#meanwhile.duplicated++;
    if (what === "late") held.silent = 0; // the path is slow, and the flow is not stuck
    if (what !== "answered") return;
    const mayBeNamed = this.#context.identity.lacks(held.banner) && held.unnamed === null;
    if (mayBeNamed) held.unnamed = echo;
    else this.#answered(held, echo);
  }

  /** From another end than was asked: an answer to what the peer was asked, or nobody's business. */
  #takeStrange(held: Held, { bytes, from }: Datagram): void {
    const reading = this.#read(held, bytes);
    if (from === null || reading.kind !== "own") return;
    this.#decide(held, reading.number, { fault: "other_server", isSent: true, stranger: from });
  }

  #read({ key, tracker }: Held, bytes: Uint8Array): ReturnType<typeof readPayload> {
    return readPayload(bytes, key, tracker.counts.sent, () => PAYLOAD_BYTES);
  }

  /** An echo that is whole and in time, from who it may be. */
  #answered(held: Held, { number, datagram }: Unnamed): void {
    const { agenda, identity } = this.#context;
    held.isSteady = true;
    held.unnamed = null;
    const fault = identity.ofFlow(held.banner, this.#end, agenda.now());
    const sentMs = held.underWay.get(number);
    if (sentMs === undefined) return;
    this.#decide(held, number, {
      ...{ fault, isSent: true },
      rttMs: fault === null ? tookMs(this.#context, sentMs, datagram.atMs) : null,
      hops: datagram.ttl === null ? null : hopsOf(datagram.ttl),
    });
    // The next probe asks from another port who is there.
    if (identity.lacks(held.banner) && this.#held === held) this.#held = null;
  }

  #lookForBanner(held: Held, nowMs: number): void {
    const { unnamed } = held;
    const { stalls } = this.#context.agenda;
    if (unnamed === null) return;
    const waitedMs = stalls.awakeAt(nowMs) - stalls.awakeAt(unnamed.datagram.atMs);
    if (waitedMs > BANNER_MS) this.#answered(held, unnamed);
  }

  #lookForLosses(held: Held, nowMs: number): void {
    for (const [number, sentMs] of held.underWay) {
      if (!isOverdue(this.#context, sentMs, nowMs)) return;
      if (number === held.unnamed?.number) continue; // it came
      held.isSteady = true;
      this.#decide(held, number, { fault: this.#lossOf(held, sentMs), isSent: true });
    }
  }

  /** What a message is called that was not answered in time. */
  #lossOf(held: Held, sentMs: number): Outcome["fault"] {
    if (held.strays > 0) {
      held.strays--;
      return "corrupted";
    }
    return held.news !== null && held.news.atMs >= sentMs ? faultOf(held.news.failure) : "timeout";
  }

  /** The fate of a message is known, if it was not before. */
  #decide(held: Held, number: number, outcome: Omit<Outcome, "banner" | "sentMs">): void {
    const sentMs = held.underWay.get(number);
    if (sentMs === undefined) return;
    held.underWay.delete(number);
    if (held.unnamed?.number === number) held.unnamed = null;
    held.strays = Math.min(held.strays, held.underWay.size);
    held.silent = outcome.fault === null ? 0 : held.silent + 1;
    if (held.silent >= SILENT_MAX && this.#held === held) this.#held = null;
    this.#tell({ ...outcome, sentMs, banner: held.banner, flow: held.text });
  }

  #tell(outcome: Outcome): void {
    if (this.#over) return;
    const { peer, tell } = this.#context;
    tell(seenOf(peer, "udp", { ...outcome, ...this.#meanwhile }, Date.now()));
    this.#meanwhile = { ...NOTHING };
  }

  #close(held: Held): void {
    this.#flows.delete(held);
    if (this.#held === held) this.#held = null;
    held.flow.end();
  }
}
