import { Failure } from "../../client/failure.ts";
import { FlowMessages, type Taken } from "../../client/flow-messages.ts";
import { type FlowKey, readPayload } from "../../client/payload.ts";
import { RoundTrips } from "../../client/round-trips.ts";
import { UdpFlow } from "../../client/udp-flow.ts";
import type { Datagram } from "../../client/udp-inbox.ts";
import { type Banner, readBanner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import { otherAddress, wrongPayload } from "./faults.ts";
import type { EndedSilence } from "./flow-state.ts";
import { type Outage, OutageBook } from "./outages.ts";
import { PAYLOAD_BYTES, type Probe, type ProbeContext, type ProbeFigures, tookMs } from "./probe.ts";
import { sourceFor } from "./visits.ts";

/**
 * New ports that are tried where the first answer has no banner. One that was used before gets none, since its session
 * lives on at the server: that is no server without a banner.
 */
const PORTS_TRIED = 2;

/** An echo may overtake the banner that was sent before it, by less than this. */
const BANNER_MS = 100;

interface PortChoice {
  /** Ports that got no banner. */
  tried: number;
  /** What the first answer ended. */
  silence: EndedSilence | null;
  /** For a banner that may come yet. */
  isWaiting: boolean;
}

/** `udp-fixed` and `udp-connected`: one socket for ever, and so one source port. */
export class UdpHeld implements Probe {
  readonly #context: ProbeContext;
  readonly #key: FlowKey;
  readonly #messages: FlowMessages;
  readonly #book = new OutageBook();
  /** Of those in time that no other overtook. */
  readonly #roundTrips = new RoundTrips();
  #flow: UdpFlow | null = null;
  #isOpening = false;
  /** Whether the flow had its first answer, or its first datagram was lost: from then on it sends each interval. */
  #isSteady = false;
  /** Outages that are over and were not told yet. */
  readonly #ended: Outage[] = [];
  /** Null once the port is chosen. */
  #choice: PortChoice | null = { tried: 0, silence: null, isWaiting: false };
  #over = false;
  /** What the server said of itself since the last answer. */
  #banner: Banner | null = null;

  constructor(context: ProbeContext) {
    this.#context = context;
    this.#key = context.newKey();
    this.#messages = new FlowMessages(this.#key, PAYLOAD_BYTES, context.settings.timeoutMs);
  }

  due(nowMs: number): void {
    const end = this.#context.heldEnd();
    if (this.#over || this.#isOpening || this.#choice?.isWaiting || end === null) return;
    if (this.#flow === null) void this.#open(end, nowMs);
    // Two datagrams at once on a new flow would race for its entry in conntrack.
    else if (this.#isSteady || this.#book.underWay === 0) this.#send(this.#flow, nowMs);
  }

  look(nowMs: number, untilMs: number): void {
    const { agenda, state, why } = this.#context;
    const judgedMs = agenda.stalls.awakeAt(nowMs);
    this.#ended.push(...this.#book.settle(judgedMs));
    if (this.#flow !== null && this.#book.underWay === 0) this.#isSteady = true;
    // What ended before the first answer was told is told after it.
    if (this.#choice === null) for (const outage of this.#ended.splice(0)) state.outageOver(outage);
    const { silentSinceMs: sinceMs, unanswered } = this.#book;
    const forMs = sinceMs === null ? 0 : agenda.stalls.awakeAt(untilMs) - agenda.stalls.awakeAt(sinceMs);
    const ownPort = this.#flow?.local.port ?? null;
    state.look(nowMs, sinceMs, forMs, unanswered, () =>
      sinceMs === null ? null : why(sinceMs, nowMs, ownPort),
    );
  }

  figures(_nowMs: number, untilMs: number): ProbeFigures {
    const { duplicated, corrupted, foreign } = this.#messages.counts;
    return {
      ...this.#book.figures(untilMs),
      ...{ duplicated, corrupted, foreign },
      rttMs: this.#roundTrips.quantiles(),
    };
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#flow?.end();
  }

  async #open(end: Endpoint, nowMs: number): Promise<void> {
    const { name, sockets } = this.#context;
    this.#isOpening = true;
    const connected = name === "udp-connected";
    const source = await sourceFor("udp", end, this.#context);
    const flow = await UdpFlow.open(end, { connected, open: sockets.openUdp, source });
    this.#isOpening = false;
    if (flow instanceof Failure) {
      this.#notSent(nowMs, flow);
      return;
    }
    if (this.#over) flow.end();
    this.#flow = flow;
    this.#isSteady = false;
    void this.#receive(flow);
    this.due(performance.now());
  }

  #send(flow: UdpFlow, nowMs: number): void {
    const { agenda, settings } = this.#context;
    const judgedMs = agenda.stalls.awakeAt(nowMs);
    const message = this.#messages.next(judgedMs);
    this.#book.send(nowMs, judgedMs + settings.timeoutMs);
    const failure = flow.send(message);
    if (failure !== null) this.#failedToSend(nowMs, failure);
  }

  /** A probe that had no socket to leave by. */
  #notSent(nowMs: number, failure: Failure): void {
    this.#messages.next(this.#context.agenda.stalls.awakeAt(nowMs)); // so that both count alike
    this.#book.send(nowMs, Number.POSITIVE_INFINITY);
    this.#failedToSend(nowMs, failure);
  }

  #failedToSend(nowMs: number, failure: Failure): void {
    const ofPath = failure.code === "unreachable" || failure.code === "refused";
    if (ofPath) this.#book.loseLast();
    else this.#book.dropLast(); // this machine's own trouble is no outage of the path
    this.#context.state.failed(nowMs, failure);
  }

  async #receive(flow: UdpFlow): Promise<void> {
    for (;;) {
      const came = await flow.receive(Number.POSITIVE_INFINITY);
      const nowMs = this.#context.agenda.now();
      if (!(came instanceof Failure)) this.#take(flow, came, nowMs);
      else if (came.code === "ended" || came.code === "aborted") return;
      else this.#context.state.failed(nowMs, came);
    }
  }

  #take(flow: UdpFlow, datagram: Datagram, nowMs: number): void {
    if (!flow.isFromTarget(datagram)) {
      this.#takeStrange(datagram, nowMs);
      return;
    }
    const banner = readBanner(datagram.bytes);
    if (banner !== null) this.#banner = banner;
    else
      this.#judge(
        this.#messages.take(datagram.bytes, this.#context.agenda.stalls.awakeAt(datagram.atMs)),
        datagram,
      );
  }

  #judge({ what, number }: Taken, { atMs }: Datagram): void {
    const { state } = this.#context;
    switch (what) {
      case "answered": {
        const silence = this.#book.answer(number!);
        if (silence !== null) this.#roundTrips.add(tookMs(this.#context, silence.untilMs, atMs));
        this.#isSteady = true;
        if (!this.#waitsForBanner(atMs, silence)) this.#tellAnswer(atMs, silence);
        return;
      }
      case "late":
        this.#book.answerLate(number!);
        state.answeredLate(atMs);
        return;
      case "forgotten":
        return;
      case "corrupted":
        if (number !== null) this.#book.replace(number);
    }
    state.problem(atMs, wrongPayload(what));
  }

  /** Whether a first answer came without a banner, which may follow; nothing is sent meanwhile. */
  #waitsForBanner(atMs: number, silence: EndedSilence | null): boolean {
    const choice = this.#choice;
    if (choice === null || this.#banner !== null || choice.tried === PORTS_TRIED) return false;
    choice.silence ??= silence;
    if (!choice.isWaiting) this.#chooseSoon(choice, atMs);
    choice.isWaiting = true;
    return true;
  }

  #chooseSoon(choice: PortChoice, atMs: number): void {
    this.#context.agenda.at(performance.now() + BANNER_MS, () => this.#choose(choice, atMs));
  }

  /** Stays with this port if its banner has come, and goes on from another if not. */
  #choose(choice: PortChoice, atMs: number): void {
    if (this.#over) return;
    if (this.#banner === null && this.#book.underWay > 0) {
      this.#chooseSoon(choice, atMs); // an answer that is on its way would come to a port that is closed
      return;
    }
    choice.isWaiting = false;
    if (this.#banner !== null) {
      this.#tellAnswer(atMs, choice.silence);
      return;
    }
    choice.tried++;
    this.#flow?.end();
    this.#flow = null;
    this.due(performance.now());
  }

  #tellAnswer(atMs: number, silence: EndedSilence | null): void {
    const ended = this.#choice?.silence ?? silence;
    this.#choice = null;
    this.#context.state.answer(atMs, this.#banner, ended);
    this.#banner = null;
  }

  /** From another end than was asked: an answer of ours, or nobody's business. */
  #takeStrange({ bytes, from }: Datagram, nowMs: number): void {
    const reading = readPayload(bytes, this.#key, this.#messages.counts.sent, () => PAYLOAD_BYTES);
    if (from === null || reading.kind !== "own") return;
    const end = formatEndpoint(from);
    this.#context.state.problem(nowMs, otherAddress(end), { from: end });
  }
}
